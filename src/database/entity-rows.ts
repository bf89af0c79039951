import type { ColumnType, EntityMetadata, ObjectLiteral } from 'typeorm';
import { isPostgres, parsedJson } from './columns.js';

type Column = EntityMetadata['columns'][number];
type Relation = EntityMetadata['relations'][number];

/** The columns whose values the drivers return as they are. */
const PLAIN_TYPES: readonly ColumnType[] = [String, 'varchar', 'text', 'int', 'integer'];

/**
 * Selects an entity's columns in a statement of SQL text and makes entities from its rows. TypeORM's hydration takes longer than
 * the query of a page: see docs/performance.md. Subscribers and `@AfterLoad` methods are not called.
 */
export class EntityRows<T extends ObjectLiteral> {
  private readonly relations: readonly Relation[];
  /** The columns that TypeORM selects, of the entity and of its relations' entities. */
  private readonly columns = new Map<EntityMetadata, readonly Column[]>();

  /** @param relations the to-many relations to read with each row, each as JSON in a column of its own */
  constructor(
    private readonly metadata: EntityMetadata,
    relations: readonly string[] = [],
  ) {
    this.relations = relations.map((name) => {
      const relation = metadata.findRelationWithPropertyPath(name);
      if (!relation?.isOneToMany) throw new Error(`${metadata.name} has no to-many relation "${name}".`);
      return relation;
    });
    for (const each of [metadata, ...this.relations.map((relation) => relation.inverseEntityMetadata)])
      this.columns.set(each, each.columns.filter(isSelected));
  }

  /** The list of a SELECT. */
  select(table: string): string {
    const columns = this.columnsOf(this.metadata).map(
      (column) => `${this.name(table, column)} AS ${this.escape(column.propertyName)}`,
    );
    const relations = this.relations.map(
      (relation) => `${this.related(table, relation)} AS ${this.escape(relation.propertyName)}`,
    );
    return [...columns, ...relations].join(', ');
  }

  /** @throws UnreadableValue */
  entity(row: Readonly<Record<string, unknown>>): T {
    const entity = this.hydrate(this.metadata, (column) => row[column.propertyName]);
    for (const { propertyName, inverseEntityMetadata } of this.relations)
      entity[propertyName] = (parsedJson(row[propertyName]) as unknown[][]).map((values) =>
        this.hydrate(inverseEntityMetadata, (_, index) => values[index]),
      );
    return entity as T;
  }

  private hydrate(metadata: EntityMetadata, valueOf: (column: Column, index: number) => unknown) {
    const { driver } = metadata.dataSource;
    const entity = metadata.create();
    this.columnsOf(metadata).forEach((column, index) => {
      const value = valueOf(column, index);
      const isPlain = PLAIN_TYPES.includes(column.type) && !column.transformer;
      entity[column.propertyName] = isPlain ? value : (driver.prepareHydratedValue(value, column) as unknown);
    });
    return entity;
  }

  private related(table: string, { inverseEntityMetadata: child, inverseRelation }: Relation): string {
    const joins = inverseRelation!.joinColumns.map(
      (key) => `${this.name('child', key)} = ${this.name(table, key.referencedColumn!)}`,
    );
    // PostgreSQL writes dates into JSON in another form than into rows.
    const values = this.columnsOf(child).map((column) =>
      column.type === 'timestamptz'
        ? `CAST(${this.name('child', column)} AS text)`
        : this.name('child', column),
    );
    const list = isPostgres(this.metadata.dataSource)
      ? `CAST(COALESCE(json_agg(json_build_array(${values.join(', ')})), '[]') AS text)`
      : `json_group_array(json_array(${values.join(', ')}))`;
    const from = child.tablePath.split('.').map(this.escape).join('.');
    return `(SELECT ${list} FROM ${from} child WHERE ${joins.join(' AND ')})`;
  }

  private readonly columnsOf = (metadata: EntityMetadata) => this.columns.get(metadata)!;

  private readonly name = (table: string, column: Column) => `${table}.${this.escape(column.databaseName)}`;

  private readonly escape = (name: string) => this.metadata.dataSource.driver.escape(name);
}

const isSelected = ({ isSelect, isVirtual, isVirtualProperty }: Column) =>
  isSelect && !isVirtual && !isVirtualProperty;
