import type { ColumnType, EntityMetadata, ObjectLiteral } from 'typeorm';
import { kindOf, type Kind, type Value } from './conditions.js';
import type { Condition, Membership, Order, Relation } from './condition-ast.js';

type Column = EntityMetadata['columns'][number];

/** A table as it stands in a statement: what it is, and the name that it goes by there, escaped. */
export interface Source {
  readonly metadata: EntityMetadata;
  readonly name: string;
}

/** The column types that both databases compare as JavaScript does, and what they hold. */
const KINDS = new Map<ColumnType, Kind>([
  ...[String, 'varchar', 'character varying', 'text'].map((type) => [type as ColumnType, 'string'] as const),
  ...[Number, 'int', 'integer', 'int4'].map((type) => [type as ColumnType, 'number'] as const),
  ...(['float', 'double precision'] as const).map((type) => [type, 'number'] as const),
  ...[Boolean, 'boolean'].map((type) => [type as ColumnType, 'boolean'] as const),
  ...(['datetime', 'timestamptz'] as const).map((type) => [type, 'instant'] as const),
]);
const FRACTIONS: readonly ColumnType[] = ['float', 'double precision'];
const INTEGER_LIMIT = 2 ** 31;

const INVERSE = { '<': '>=', '<=': '>', '>': '<=', '>=': '<' } as const;

/** Writes formulas as SQL. Names come from the entities' metadata, and every value becomes a parameter. */
export class ConditionSql {
  readonly parameters: Record<string, unknown[]> = {};
  private count = 0;

  /** @param taken the names of parameters that the statement has already */
  constructor(
    private readonly dataSource: EntityMetadata['dataSource'],
    private readonly taken: ObjectLiteral = {},
  ) {}

  escape = (name: string) => this.dataSource.driver.escape(name);

  /** The table's own name. */
  table(metadata: EntityMetadata): string {
    if (metadata.deleteDateColumn || metadata.discriminatorColumn)
      throw new Error(`${metadata.name} hides rows from its reader, which no rule knows of.`);
    return metadata.tablePath.split('.').map(this.escape).join('.');
  }

  /** A name that the statement does not use yet. */
  unused(stem: string): string {
    let name: string;
    do name = `${stem}${this.count++}`;
    while (name in this.taken);
    return name;
  }

  /** The placeholders of these values. The spread form is the one that TypeORM always binds; it writes a lone number into SQLite's text. */
  bind(...values: unknown[]): string {
    const name = this.unused('access');
    this.parameters[name] = values;
    return `:...${name}`;
  }

  where(formula: Condition, source: Source): string {
    if ('all' in formula) return this.join(formula.all, ' AND ', '1=1', source);
    if ('any' in formula) return this.join(formula.any, ' OR ', '1=0', source);
    if ('some' in formula) return this.exists(formula, source);
    const column = columnOf(source.metadata, formula.field);
    const name = this.column(column, source);
    return 'order' in formula ? this.order(formula, column, name) : this.membership(formula, column, name);
  }

  column = ({ databaseName }: Column, { name }: Source) => `${name}.${this.escape(databaseName)}`;

  /** The rows that a relation leads to, and the conditions that tie them to the row they belong to. */
  related({ field, some }: Relation, { metadata }: Source) {
    const relation = metadata.findRelationWithPropertyPath(field);
    const keys = relation?.isOneToMany ? relation.inverseRelation?.joinColumns : undefined;
    if (!relation || !keys) throw new Error(`${metadata.name} has no to-many relation "${field}".`);
    const child = { metadata: relation.inverseEntityMetadata, name: this.escape(this.unused('related')) };
    return {
      keys,
      child,
      from: `${this.table(child.metadata)} ${child.name}`,
      where: this.where(some, child),
    };
  }

  private exists(relation: Relation, source: Source): string {
    const { keys, child, from, where } = this.related(relation, source);
    const ties = keys.map((key) => {
      if (!key.referencedColumn) throw new Error(`${key.propertyName} refers to no column.`);
      return `${this.column(key, child)} = ${this.column(key.referencedColumn, source)}`;
    });
    return `${relation.not ? 'NOT ' : ''}EXISTS (SELECT 1 FROM ${from} WHERE ${ties.join(' AND ')} AND ${where})`;
  }

  private join(parts: readonly Condition[], by: string, none: string, source: Source): string {
    const [first, ...others] = parts.map((part) => this.where(part, source));
    if (first === undefined) return none;
    return others.length ? `(${[first, ...others].join(by)})` : first;
  }

  private membership({ not, oneOf }: Membership, column: Column, name: string): string {
    const values = oneOf.filter((value) => value !== null);
    const withNull = values.length < oneOf.length;
    const list = values.length ? this.values(values, column) : undefined;
    if (list === undefined) return withNull ? `${name} IS ${not ? 'NOT ' : ''}NULL` : not ? '1=1' : '1=0';
    const single = values.length === 1;
    const among = single ? `${name} ${not ? '<>' : '='} ${list}` : `${name} ${not ? 'NOT ' : ''}IN (${list})`;
    // Each database drops a null from `<>` and NOT IN by itself, as it should where null is among the excluded.
    return withNull === not ? among : `(${among} OR ${name} IS NULL)`;
  }

  private order({ not, order, than }: Order, column: Column, name: string): string {
    const value = this.values([than], column);
    return not ? `(${name} ${INVERSE[order]} ${value} OR ${name} IS NULL)` : `${name} ${order} ${value}`;
  }

  private values(values: readonly Value[], column: Column): string {
    const { driver } = this.dataSource;
    return this.bind(
      ...values.map((value): unknown => {
        assertFits(value, column);
        return driver.preparePersistentValue(value, column);
      }),
    );
  }
}

/** @throws Error where the entity has no such column, or one that the databases do not compare as JavaScript does */
export function columnOf(metadata: EntityMetadata, property: string): Column {
  const column = metadata.columns.find((each) => each.propertyPath === property && !each.isVirtual);
  if (!column) throw new Error(`${metadata.name} has no column "${property}".`);
  if (!KINDS.has(column.type) || column.transformer || column.isArray || column.collation)
    throw new Error(`${metadata.name}.${property} is a column that no condition can look at.`);
  return column;
}

/** @throws Error where the value is not of the column's kind: SQLite would take '1' for 1, PostgreSQL would fail */
function assertFits(value: Value, column: Column): void {
  const kind = KINDS.get(column.type);
  const fits = kind === kindOf(value, column.propertyName);
  const whole = typeof value !== 'number' || FRACTIONS.includes(column.type) || isInt4(value);
  if (!fits || !whole)
    throw new Error(
      `A condition compares "${column.propertyName}", which holds a ${kind}, with what cannot be one.`,
    );
}

const isInt4 = (value: number) => Number.isInteger(value) && value >= -INTEGER_LIMIT && value < INTEGER_LIMIT;
