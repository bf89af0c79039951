import { buildMongoQueryMatcher, type ConditionsMatcher, type MongoQuery } from '@casl/ability';

/**
 * CASL's conditions, limited to those with the same result in SQL and in memory: comparisons of a column with
 * constants, and `$elemMatch` on a to-many relation. Lists use SQL and single reads use memory. With different
 * results, a list could contain a row that cannot be read, or lack one that can.
 */

/** A constant in a condition, which can also be null. */
export type ConditionValue = string | number | boolean | Date;
export type ValueKind = 'string' | 'number' | 'boolean' | 'date';

/** CASL's matcher with the results of SQL. It rejects conditions that SQL would evaluate differently. */
export const conditionsMatcher: ConditionsMatcher<MongoQuery> = (conditions) => {
  assertTranslatable(conditions);
  return matchRow(conditions);
};

/**
 * Checks the conditions of a rule when the ability is built, before any row is compared.
 *
 * @throws Error for `undefined`, which would match rows that lack the field, and for an operator or a value that SQL
 *   would evaluate differently
 */
export function assertTranslatable(conditions: unknown): void {
  if (conditions === undefined) return;
  checkConditions(conditions, 'The conditions of a rule', { relationsAllowed: true });
}

/** @throws Error for a value that no supported column can hold */
export function kindOf(value: unknown, field: string): ValueKind {
  if (typeof value === 'string') return 'string';
  if (typeof value === 'number') return 'number';
  if (typeof value === 'boolean') return 'boolean';
  if (value instanceof Date) return 'date';
  throw new Error(`The condition on "${field}" compares a value that is no string, number, boolean or Date.`);
}

const EQUALITY_OPERATORS = ['$eq', '$ne'];
const LIST_OPERATORS = ['$in', '$nin'];
const ORDER_OPERATORS = ['$lt', '$lte', '$gt', '$gte'];

interface Options {
  /** False inside a relation: the SQL has one EXISTS and no nested one. */
  readonly relationsAllowed: boolean;
}

function checkConditions(conditions: unknown, place: string, options: Options): void {
  if (!isPlainObject(conditions)) throw new Error(`${place} must be a plain object.`);
  for (const [field, wanted] of Object.entries(conditions)) {
    if (!/^[a-z]\w*$/i.test(field)) throw new Error(`"${field}" is not a column or a relation.`);
    const operators = isPlainObject(wanted) ? Object.entries(wanted) : [['$eq', wanted] as const];
    if (!operators.length) throw new Error(`The condition on "${field}" is empty.`);
    for (const [operator, value] of operators) checkOperator(field, operator, value, options);
  }
}

function checkOperator(field: string, operator: string, value: unknown, options: Options): void {
  if (EQUALITY_OPERATORS.includes(operator)) {
    checkValue(field, value);
  } else if (LIST_OPERATORS.includes(operator) && Array.isArray(value)) {
    for (const each of value) checkValue(field, each);
  } else if (ORDER_OPERATORS.includes(operator)) {
    checkValue(field, value);
    // Each database sorts strings by its own collation, and null has no order.
    if (value === null || !['number', 'date'].includes(kindOf(value, field)))
      throw new Error(`${operator} on "${field}" needs a number or a Date.`);
  } else if (operator === '$elemMatch' && options.relationsAllowed) {
    checkConditions(value, `$elemMatch on "${field}"`, { relationsAllowed: false });
  } else {
    throw new Error(`${operator} on "${field}" cannot be translated to SQL.`);
  }
}

function checkValue(field: string, value: unknown): void {
  if (value === undefined)
    throw new Error(`The condition on "${field}" is undefined. It would match rows that lack the field.`);
  if (value === null) return;
  if (!isStoredExactly(value))
    throw new Error(`The condition on "${field}" has a value that no database stores exactly.`);
  kindOf(value, field);
}

/** PostgreSQL stores no NUL, and neither database stores half of a surrogate pair. */
const UNSTORABLE_CHARACTER = /[\0\p{Surrogate}]/u;

/** SQLite stores a Date as text, which sorts correctly for years of four digits only. */
function isStoredExactly(value: unknown): boolean {
  if (typeof value === 'string') return !UNSTORABLE_CHARACTER.test(value);
  if (typeof value === 'number') return Number.isFinite(value);
  if (value instanceof Date) return value.getUTCFullYear() >= 0 && value.getUTCFullYear() <= 9999;
  return true;
}

const isPlainObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;

interface FieldNode {
  readonly field: string;
  readonly value: unknown;
}

/**
 * Evaluates conditions on a row in memory, with the results of SQL except for null. Equality compares null like any
 * other value; `<` and `>` with null are false.
 */
const matchRow = buildMongoQueryMatcher(
  {},
  {
    eq: ({ field, value }: FieldNode, row: object) => isEqual(fieldOf(row, field), value, field),
    ne: ({ field, value }: FieldNode, row: object) => !isEqual(fieldOf(row, field), value, field),
    in: (node: FieldNode, row: object) => isOneOf(node, row),
    nin: (node: FieldNode, row: object) => !isOneOf(node, row),
    lt: ordered((difference) => difference < 0),
    lte: ordered((difference) => difference <= 0),
    gt: ordered((difference) => difference > 0),
    gte: ordered((difference) => difference >= 0),
    elemMatch: ({ field, value }: FieldNode, row: object, context) =>
      (fieldOf(row, field) as object[]).some((related) => context.interpret(value as never, related)),
  },
);

/** @throws Error if the field was not loaded. It would count as null, and a prohibition on it would not apply. */
function fieldOf(row: object, field: string): unknown {
  const value = (row as Record<string, unknown>)[field];
  if (value === undefined)
    throw new Error(`A rule compares "${field}", which this ${row.constructor.name} lacks. Load it first.`);
  return value;
}

function isOneOf({ field, value }: FieldNode, row: object): boolean {
  const stored = fieldOf(row, field);
  return (value as unknown[]).some((wanted) => isEqual(stored, wanted, field));
}

function isEqual(stored: unknown, wanted: unknown, field: string): boolean {
  if (stored === null || wanted === null) return stored === wanted;
  return difference(stored, wanted, field) === 0;
}

function ordered(holds: (difference: number) => boolean) {
  return ({ field, value }: FieldNode, row: object): boolean => {
    const stored = fieldOf(row, field);
    return stored !== null && holds(difference(stored, value, field));
  };
}

/** @returns 0 if equal; otherwise for numbers and dates negative or positive, and for strings only not 0 */
function difference(stored: unknown, wanted: unknown, field: string): number {
  if (kindOf(stored, field) !== kindOf(wanted, field))
    throw new Error(
      `"${field}" holds a ${kindOf(stored, field)}. A rule compares it with another kind of value.`,
    );
  if (typeof stored === 'string') return stored === wanted ? 0 : 1;
  return Number(stored) - Number(wanted);
}
