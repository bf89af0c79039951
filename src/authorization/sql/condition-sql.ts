import type { ColumnType, EntityMetadata, ObjectLiteral } from 'typeorm';
import type { Comparison, Condition, Membership, RelatedRow } from './condition-ast.js';
import { kindOf, type ValueKind, type ConditionValue } from './conditions-matcher.js';

type Column = EntityMetadata['columns'][number];

/** A table in a statement, with its escaped alias or name there. */
export interface TableReference {
  readonly metadata: EntityMetadata;
  readonly name: string;
}

/**
 * Writes conditions as SQL. Names come from the entities' metadata, and every value becomes a parameter, so no text of
 * a request reaches the statement.
 */
export class ConditionSql {
  readonly parameters: Record<string, unknown[]> = {};
  private nameCount = 0;

  /** @param existingParameters the parameters of the statement, whose names are not used again */
  constructor(
    private readonly dataSource: EntityMetadata['dataSource'],
    private readonly existingParameters: ObjectLiteral = {},
  ) {}

  where(condition: Condition, source: TableReference): string {
    if ('all' in condition) return this.join(condition.all, ' AND ', '1=1', source);
    if ('any' in condition) return this.join(condition.any, ' OR ', '1=0', source);
    if ('matches' in condition) return this.exists(condition, source);
    const column = columnOf(source.metadata, condition.field);
    const name = this.column(column, source);
    if ('operator' in condition) return this.comparison(condition, column, name);
    return this.membership(condition, column, name);
  }

  /** @throws Error if TypeORM hides rows of the table, which the rules would not take into account */
  table(metadata: EntityMetadata): string {
    if (metadata.deleteDateColumn || metadata.discriminatorColumn)
      throw new Error(`${metadata.name} has soft deletion or inheritance, which rules do not support.`);
    return metadata.tablePath.split('.').map(this.escape).join('.');
  }

  column = ({ databaseName }: Column, { name }: TableReference) => `${name}.${this.escape(databaseName)}`;

  /** A FROM and a WHERE for the matching rows of a relation, and the foreign keys that refer to the row itself. */
  related({ field, matches }: RelatedRow, { metadata }: TableReference) {
    const relation = metadata.findRelationWithPropertyPath(field);
    const foreignKeys = relation?.isOneToMany ? relation.inverseRelation?.joinColumns : undefined;
    if (!relation || !foreignKeys) throw new Error(`${metadata.name} has no to-many relation "${field}".`);
    const child = { metadata: relation.inverseEntityMetadata, name: this.escape(this.unusedName('related')) };
    return {
      foreignKeys,
      child,
      from: `${this.table(child.metadata)} ${child.name}`,
      where: this.where(matches, child),
    };
  }

  /** Adds values as one parameter in TypeORM's spread form. In the plain form, TypeORM inlines numbers on SQLite. */
  bind(...values: unknown[]): string {
    const name = this.unusedName('access');
    this.parameters[name] = values;
    return `:...${name}`;
  }

  /** A name that the statement does not use yet. */
  unusedName(stem: string): string {
    let name: string;
    do name = `${stem}${this.nameCount++}`;
    while (name in this.existingParameters);
    return name;
  }

  private readonly escape = (name: string) => this.dataSource.driver.escape(name);

  private join(
    parts: readonly Condition[],
    operator: string,
    ifEmpty: string,
    source: TableReference,
  ): string {
    const [first, ...others] = parts.map((part) => this.where(part, source));
    if (first === undefined) return ifEmpty;
    return others.length ? `(${[first, ...others].join(operator)})` : first;
  }

  private exists(condition: RelatedRow, source: TableReference): string {
    const { foreignKeys, child, from, where } = this.related(condition, source);
    const joins = foreignKeys.map((key) => {
      if (!key.referencedColumn) throw new Error(`${key.propertyName} refers to no column.`);
      return `${this.column(key, child)} = ${this.column(key.referencedColumn, source)}`;
    });
    const not = condition.not ? 'NOT ' : '';
    return `${not}EXISTS (SELECT 1 FROM ${from} WHERE ${joins.join(' AND ')} AND ${where})`;
  }

  private membership({ not, oneOf }: Membership, column: Column, name: string): string {
    const values = oneOf.filter((value) => value !== null);
    const includesNull = values.length < oneOf.length;
    if (!values.length && includesNull) return `${name} IS ${not ? 'NOT ' : ''}NULL`;
    if (!values.length) return not ? '1=1' : '1=0';
    const list = this.values(values, column);
    const comparison =
      values.length === 1
        ? `${name} ${not ? '<>' : '='} ${list}`
        : `${name} ${not ? 'NOT ' : ''}IN (${list})`;
    // No comparison with a value finds NULL, `<>` and NOT IN included. That is right if null is excluded.
    const findsNull = includesNull !== not;
    return findsNull ? `(${comparison} OR ${name} IS NULL)` : comparison;
  }

  private comparison({ not, operator, value }: Comparison, column: Column, name: string): string {
    const bound = this.values([value], column);
    if (!not) return `${name} ${operator} ${bound}`;
    return `(${name} ${INVERSE_OPERATORS[operator]} ${bound} OR ${name} IS NULL)`;
  }

  private values(values: readonly ConditionValue[], column: Column): string {
    const { driver } = this.dataSource;
    const stored = values.map((value): unknown => {
      assertColumnHolds(column, value);
      return driver.preparePersistentValue(value, column);
    });
    return this.bind(...stored);
  }
}

const INVERSE_OPERATORS = { '<': '>=', '<=': '>', '>': '<=', '>=': '<' } as const;

const FRACTION_TYPES: readonly ColumnType[] = ['float', 'double precision'];
const INTEGER_LIMIT = 2 ** 31;

/** The column types that both databases compare as JavaScript does, and the kind of their values. */
const COLUMN_KINDS = new Map<ColumnType, ValueKind>([
  ...[String, 'varchar', 'character varying', 'text'].map((type) => [type as ColumnType, 'string'] as const),
  ...[Number, 'int', 'integer', 'int4'].map((type) => [type as ColumnType, 'number'] as const),
  ...FRACTION_TYPES.map((type) => [type, 'number'] as const),
  ...[Boolean, 'boolean'].map((type) => [type as ColumnType, 'boolean'] as const),
  ...(['datetime', 'timestamptz'] as const).map((type) => [type, 'date'] as const),
]);

/** @throws Error if the entity lacks the column, or if the databases do not compare it as JavaScript does */
export function columnOf(metadata: EntityMetadata, property: string): Column {
  const column = metadata.columns.find((each) => each.propertyPath === property && !each.isVirtual);
  if (!column) throw new Error(`${metadata.name} has no column "${property}".`);
  if (!COLUMN_KINDS.has(column.type) || column.transformer || column.isArray || column.collation)
    throw new Error(`Conditions do not support the column ${metadata.name}.${property}.`);
  return column;
}

/** @throws Error if the value is not of the column's kind. SQLite would convert '1' to 1, and PostgreSQL would fail. */
function assertColumnHolds(column: Column, value: ConditionValue): void {
  const kind = COLUMN_KINDS.get(column.type);
  const isFraction = typeof value === 'number' && !isInt4(value);
  if (kind === kindOf(value, column.propertyName) && (!isFraction || FRACTION_TYPES.includes(column.type)))
    return;
  throw new Error(
    `A condition on "${column.propertyName}", which holds a ${kind}, has another kind of value.`,
  );
}

const isInt4 = (value: number) => Number.isInteger(value) && value >= -INTEGER_LIMIT && value < INTEGER_LIMIT;
