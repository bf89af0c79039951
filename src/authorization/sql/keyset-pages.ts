import type { Type } from '@nestjs/common';
import type { EntityManager, EntityMetadata, ObjectLiteral } from 'typeorm';
import type { Action, AppAbility } from '../app-ability.js';
import { EntityRows } from '../../database/entity-rows.js';
import {
  conditionsFor,
  distinct,
  filterCondition,
  type Condition,
  type RelatedRow,
} from './condition-ast.js';
import { ConditionSql, columnOf, type TableReference } from './condition-sql.js';
import type { ConditionValue } from './conditions-matcher.js';

/** The last row of a page: its sort value, in the database's own notation, and its id. */
export interface KeysetPosition {
  readonly value: string | number;
  readonly id: string | number;
}

export interface KeysetPageRequest<T> {
  readonly action: Action;
  /** The sort column, which holds no nulls. Rows with equal values are ordered by id. */
  readonly sort: { readonly property: keyof T & string; readonly direction: 'ASC' | 'DESC' };
  /** The `next` of the previous page, which must have had the same sort. */
  readonly after?: KeysetPosition | undefined;
  readonly limit: number;
  /** Only rows with these values. */
  readonly where?: { readonly [K in keyof T]?: T[K] & (ConditionValue | null) };
  /** More fields on which the action must be permitted, besides those of `sort` and `where`. */
  readonly fields?: readonly string[];
  /** The to-many relations to load with each row. */
  readonly relations?: readonly (keyof T & string)[];
}

export interface KeysetPage<T> {
  readonly rows: T[];
  /** The start of the next page; absent on the last page. */
  readonly next?: KeysetPosition;
}

/**
 * Reads one page of the accessible rows by keyset: `(sort, id) > (last value, last id)`.
 *
 * The cost of a page does not depend on the size of the table. Each rule that grants becomes a SELECT of its own, which
 * is ordered and limited and reads one range of one index. Their UNION has at most `limit` rows per rule. One SELECT
 * with an OR over all rules would sort every row that the caller may see.
 *
 * The index of a rule starts with the columns that its conditions fix and ends with the sort column and the id.
 *
 * The action must also be permitted on the fields of the sort and the filter. Otherwise the order of the rows would
 * reveal values that the caller may not read.
 */
export async function accessiblePage<T extends ObjectLiteral>(
  manager: EntityManager,
  entity: Type<T>,
  ability: AppAbility,
  request: KeysetPageRequest<T>,
): Promise<KeysetPage<T>> {
  const where = request.where ?? {};
  const fields = [...(request.fields ?? []), request.sort.property, ...Object.keys(where)];
  const conditions = conditionsFor(ability, request.action, entity, fields);
  const columns = new EntityRows<T>(manager.dataSource.getMetadata(entity), request.relations);
  const found = await findRows(manager, columns, entity, conditions, filterCondition(where), request);
  const page = found.slice(0, request.limit);
  const last = found.length > page.length && page.at(-1);
  return {
    rows: page.map((row) => columns.entity(row)),
    ...(last && { next: { value: last[SORT_VALUE], id: last[ID_VALUE] } }),
  };
}

/** The names of a row's position in the result, which no property has. */
const SORT_VALUE = 'page.sort';
const ID_VALUE = 'page.id';

type FoundRow = Readonly<Record<string, unknown>> & {
  readonly [SORT_VALUE]: KeysetPosition['value'];
  readonly [ID_VALUE]: KeysetPosition['id'];
};

/** Finds the rows of the page, and one more row if there is one: first their positions, then the rows by their ids. */
async function findRows<T extends ObjectLiteral>(
  manager: EntityManager,
  columns: EntityRows<T>,
  entity: Type<T>,
  conditions: readonly Condition[],
  filter: Condition,
  request: KeysetPageRequest<T>,
): Promise<FoundRow[]> {
  const { dataSource } = manager;
  const metadata = dataSource.getMetadata(entity);
  const sql = new ConditionSql(dataSource);
  // The condition with the fewest grants is split into branches. The others apply to every branch.
  const [branches = [], ...others] = conditions.map(grantsOf).sort((a, b) => a.length - b.length);
  const common = [...others.map((any) => ({ any })), ...conjunctsOf(filter)];
  const selects = branches.map((branch) =>
    branchSql(sql, metadata, [...conjunctsOf(branch), ...common], request),
  );
  if (!selects.length) return [];
  // PostgreSQL stores microseconds and a Date has milliseconds. As text, the position loses nothing.
  const hasMicroseconds = columnOf(metadata, request.sort.property).type === 'timestamptz';
  const row: TableReference = { metadata, name: 'loaded' };
  const [text, parameters] = dataSource.driver.escapeQueryWithParameters(
    `SELECT ${hasMicroseconds ? 'CAST(page.sort AS text)' : 'page.sort'} AS "${SORT_VALUE}",
       page.id AS "${ID_VALUE}", ${columns.select(row.name)}
     FROM (SELECT * FROM (${selects.join(' UNION ')}) page ${orderBy('page.sort', 'page.id', request)}) page
     CROSS JOIN ${sql.table(metadata)} ${row.name}
     WHERE ${sql.column(idColumnOf(metadata), row)} = page.id ${orderBy('page.sort', 'page.id', request)}`,
    sql.parameters,
  );
  return manager.query<FoundRow[]>(text, parameters);
}

/** One condition per rule that grants, together with the prohibitions on it. */
const grantsOf = (condition: Condition): readonly Condition[] =>
  distinct('any' in condition ? condition.any : [condition]);

const conjunctsOf = (condition: Condition): Condition[] =>
  'all' in condition ? condition.all.flatMap(conjunctsOf) : [condition];

/** The SELECT of one grant. A grant through a relation starts from the related rows. */
function branchSql<T>(
  sql: ConditionSql,
  metadata: EntityMetadata,
  conjuncts: Condition[],
  request: KeysetPageRequest<T>,
): string {
  const row: TableReference = { metadata, name: 'entry' };
  const id = sql.column(idColumnOf(metadata), row);
  const sortColumn = columnOf(metadata, request.sort.property);
  if (sortColumn.isNullable)
    throw new Error(`A page cannot be sorted by ${sortColumn.propertyName}, which has nulls.`);
  const sort = sql.column(sortColumn, row);
  const driving = conjuncts.find((each): each is RelatedRow => 'matches' in each && !each.not);
  const from = driving ? `${drivingTable(sql, driving, row)} CROSS JOIN` : '';
  const where = [
    ...(driving ? [`${id} = driver.id`] : []),
    sql.where({ all: conjuncts.filter((each) => each !== driving) }, row),
    ...keysetCondition(sql, sort, id, request),
  ];
  return `SELECT * FROM (
    SELECT ${sort} AS sort, ${id} AS id FROM ${from} ${sql.table(metadata)} ${row.name}
    WHERE ${where.join(' AND ')} ${orderBy(sort, id, request)}) ${sql.unusedName('branch')}`;
}

/**
 * The ids that the related rows refer to, as the first table of the join. With three related rows, there are three rows
 * to sort; in the other direction, the database would read the whole table to find them. SQLite keeps the order of
 * tables in a CROSS JOIN.
 */
function drivingTable(sql: ConditionSql, relation: RelatedRow, row: TableReference): string {
  const { foreignKeys, child, from, where } = sql.related(relation, row);
  const [key, ...more] = foreignKeys;
  if (key?.referencedColumn !== idColumnOf(row.metadata) || more.length)
    throw new Error(`A page cannot use the relation "${relation.field}", which does not refer to the id.`);
  return `(SELECT DISTINCT ${sql.column(key, child)} AS id FROM ${from} WHERE ${where}) driver`;
}

function keysetCondition<T>(
  sql: ConditionSql,
  sort: string,
  id: string,
  request: KeysetPageRequest<T>,
): string[] {
  const { after } = request;
  if (!after) return [];
  const operator = request.sort.direction === 'ASC' ? '>' : '<';
  return [`(${sort}, ${id}) ${operator} (${sql.bind(after.value)}, ${sql.bind(after.id)})`];
}

function orderBy<T>(sort: string, id: string, { sort: { direction }, limit }: KeysetPageRequest<T>): string {
  return `ORDER BY ${sort} ${direction}, ${id} ${direction} LIMIT ${Math.trunc(limit) + 1}`;
}

function idColumnOf({ name, primaryColumns: [id, ...more] }: EntityMetadata) {
  if (!id || more.length) throw new Error(`A page needs one primary column; ${name} has none or several.`);
  return id;
}
