import { buildMongoQueryMatcher, type ConditionsMatcher, type MongoQuery } from '@casl/ability';

/** What a condition may compare with, besides null. */
export type Value = string | number | boolean | Date;
export type Kind = 'string' | 'number' | 'boolean' | 'instant';

/** @throws Error for what no column holds that a rule can look at */
export function kindOf(value: unknown, field: string): Kind {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
    return typeof value as Kind;
  if (value instanceof Date) return 'instant';
  throw new Error(`"${field}" is compared by a rule, and holds neither text, number, boolean nor Date.`);
}

/** PostgreSQL keeps no NUL, and half of a surrogate pair does not survive the way to either database. */
const NO_TEXT = /[\0\p{Surrogate}]/u;

/** Whether the value reaches both databases as it is. SQLite keeps a Date as text, which sorts for four-digit years. */
function isExact(value: unknown): boolean {
  if (typeof value === 'string') return !NO_TEXT.test(value);
  if (typeof value === 'number') return Number.isFinite(value);
  return !(value instanceof Date) || (value.getUTCFullYear() >= 0 && value.getUTCFullYear() <= 9999);
}

const EQUALITIES = ['$eq', '$ne'];
const LISTS = ['$in', '$nin'];
const ORDERS = ['$lt', '$lte', '$gt', '$gte'];

/**
 * Checks a rule's conditions when the rule is built, not when a request first meets it.
 *
 * @throws Error where they hold `undefined`, which would match rows that lack the field, or anything that SQL could
 *   not answer as CASL does
 */
export function assertTranslatable(conditions: unknown): void {
  if (conditions !== undefined) checkConditionFields(conditions, 'A rule', true);
}

function checkConditionFields(conditions: unknown, place: string, mayRelate: boolean): void {
  if (!isPlain(conditions)) throw new Error(`${place} needs its conditions as a plain object.`);
  for (const [field, wanted] of Object.entries(conditions)) {
    if (!/^[a-z]\w*$/i.test(field)) throw new Error(`"${field}" is not a column or a relation.`);
    const operators = isPlain(wanted) ? Object.entries(wanted) : [['$eq', wanted] as const];
    if (!operators.length) throw new Error(`The condition on "${field}" is empty.`);
    for (const [operator, value] of operators) assertOperator(field, operator, value, mayRelate);
  }
}

function assertOperator(field: string, operator: string, value: unknown, mayRelate: boolean): void {
  if (EQUALITIES.includes(operator)) assertValue(field, value);
  else if (LISTS.includes(operator) && Array.isArray(value))
    for (const each of value) assertValue(field, each);
  else if (ORDERS.includes(operator)) {
    const kind = value === null ? 'null' : assertValue(field, value);
    // Each database sorts texts by its own collation, and null has no place in any order.
    if (kind !== 'number' && kind !== 'instant')
      throw new Error(`${operator} on "${field}" needs a number or a Date.`);
  } else if (operator === '$elemMatch' && mayRelate)
    checkConditionFields(value, `$elemMatch on "${field}"`, false);
  else throw new Error(`${operator} on "${field}" is not something that SQL could answer alike.`);
}

function assertValue(field: string, value: unknown): Kind | 'null' {
  if (value === undefined)
    throw new Error(`The condition on "${field}" is undefined: it would match rows that have none.`);
  if (!isExact(value))
    throw new Error(`The condition on "${field}" has a value that no database would keep.`);
  return value === null ? 'null' : kindOf(value, field);
}

const isPlain = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;

interface FieldNode {
  readonly field: string;
  readonly value: unknown;
}

/**
 * The field of a row that is judged in memory. It must be there: what was not loaded would pass for null, and a
 * prohibition that looks at it would stay silent.
 */
function read(row: object, field: string): unknown {
  const value = (row as Record<string, unknown>)[field];
  if (value === undefined)
    throw new Error(`A rule looks at "${field}", which this ${row.constructor.name} lacks: load it first.`);
  return value;
}

/** @returns how a row's value stands to the wanted one, as `Array.sort` has it; undefined where one of them is null */
function compare(value: unknown, wanted: unknown, field: string): number | undefined {
  if (value === null || wanted === null) return undefined;
  if (kindOf(value, field) !== kindOf(wanted, field))
    throw new Error(`"${field}" holds a ${kindOf(value, field)}, and a rule compares it with another kind.`);
  if (typeof value === 'string') return value === wanted ? 0 : 1;
  return Number(value) - Number(wanted);
}

const equal = (value: unknown, wanted: unknown, field: string) =>
  value === null || wanted === null ? value === wanted : compare(value, wanted, field) === 0;

const isOneOf = ({ field, value }: FieldNode, row: object) => {
  const held = read(row, field);
  return (value as unknown[]).some((wanted) => equal(held, wanted, field));
};

const ordered =
  (holds: (difference: number) => boolean) =>
  ({ field, value }: FieldNode, row: object) => {
    const difference = compare(read(row, field), value, field);
    return difference !== undefined && holds(difference);
  };

/** SQL's answers in memory, but for null: it is a value like others to `$eq` and its kin, and in no order with any. */
const match = buildMongoQueryMatcher(
  {},
  {
    eq: ({ field, value }: FieldNode, row: object) => equal(read(row, field), value, field),
    ne: ({ field, value }: FieldNode, row: object) => !equal(read(row, field), value, field),
    in: isOneOf,
    nin: (node: FieldNode, row: object) => !isOneOf(node, row),
    lt: ordered((difference) => difference < 0),
    lte: ordered((difference) => difference <= 0),
    gt: ordered((difference) => difference > 0),
    gte: ordered((difference) => difference >= 0),
    elemMatch: ({ field, value }: FieldNode, row: object, context) =>
      (read(row, field) as object[]).some((related) => context.interpret(value as never, related)),
  },
);

/** CASL's matcher with the answers that SQL gives. */
export const conditionsMatcher: ConditionsMatcher<MongoQuery> = (conditions) => {
  assertTranslatable(conditions);
  return match(conditions);
};
