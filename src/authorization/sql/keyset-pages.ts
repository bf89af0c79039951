import type { Type } from '@nestjs/common';
import { In, type EntityManager, type EntityMetadata, type ObjectLiteral } from 'typeorm';
import type { Action, AppAbility } from '../rules.js';
import { addConditions } from './accessible-by.js';
import type { Value } from './conditions.js';
import { ConditionSql, columnOf, type Source } from './condition-sql.js';
import { distinct, filterCondition, conditionsFor, type Condition, type Relation } from './condition-ast.js';

/** Where a page ended: the sort value of its last row, in the database's own notation, and that row's id. */
export interface Position {
  readonly value: string | number;
  readonly id: string | number;
}

export interface PageRequest<T> {
  readonly action: Action;
  /** The page's order, with the id as the tie-breaker. The column holds no nulls. */
  readonly sort: { readonly property: keyof T & string; readonly direction: 'ASC' | 'DESC' };
  /** The `next` of the page before. It fits no other sort. */
  readonly after?: Position | undefined;
  readonly limit: number;
  /** Only rows with these values. */
  readonly where?: { readonly [K in keyof T]?: T[K] & (Value | null) };
  /** What must be allowed on a row besides the fields that are sorted and filtered by. */
  readonly fields?: readonly string[];
  /** What is loaded with each row. */
  readonly relations?: readonly (keyof T & string)[];
}

export interface Page<T> {
  readonly rows: T[];
  /** Where the next page begins; absent where this is the last one. */
  readonly next?: Position;
}

/**
 * One page of the rows that are accessible, in order, at a cost that does not grow with the table: every rule that
 * grants is a SELECT of its own, ordered and limited, so that it reads one range of one index; their UNION is at most
 * `limit` rows for each rule. A plain OR over owner, tenant and shares would sort all that the caller may see.
 *
 * The index that a rule needs begins with the columns that its conditions fix, and ends in the sort column and the id.
 *
 * A row must also be accessible on each field that is sorted or filtered by: else the order would tell what is in it.
 */
export async function accessiblePage<T extends ObjectLiteral>(
  manager: EntityManager,
  entity: Type<T>,
  ability: AppAbility,
  request: PageRequest<T>,
): Promise<Page<T>> {
  const where = request.where ?? {};
  const fields = [...(request.fields ?? []), request.sort.property, ...Object.keys(where)];
  const formulas = conditionsFor(ability, request.action, entity, fields);
  const found = await positions(
    manager,
    entity,
    formulas,
    filterCondition(where as Record<string, Value>),
    request,
  );
  const page = found.slice(0, request.limit);
  const next = found.length > page.length ? page.at(-1) : undefined;
  return { rows: await load(manager, entity, formulas, page, request), ...(next && { next }) };
}

/** The positions of the page's rows, and of one more where there is one. */
async function positions<T>(
  manager: EntityManager,
  entity: Type<T>,
  formulas: readonly Condition[],
  filter: Condition,
  request: PageRequest<T>,
): Promise<Position[]> {
  const [fewest = [], ...others] = formulas.map(branches).sort((a, b) => a.length - b.length);
  const metadata = manager.dataSource.getMetadata(entity);
  const sql = new ConditionSql(manager.dataSource);
  const always = [...others.map((any) => ({ any })), ...conjuncts(filter)];
  const selects = fewest.map((branch) =>
    branchSql(sql, metadata, [...conjuncts(branch), ...always], request),
  );
  if (!selects.length) return [];
  // PostgreSQL knows a moment to the microsecond and a Date to the millisecond: its own notation loses nothing.
  const exact = columnOf(metadata, request.sort.property).type === 'timestamptz';
  const [text, parameters] = manager.dataSource.driver.escapeQueryWithParameters(
    `SELECT ${exact ? 'CAST(page.sort AS text)' : 'page.sort'} AS value, page.id AS id
     FROM (${selects.join(' UNION ')}) page ${orderBy('page.sort', 'page.id', request)}`,
    sql.parameters,
  );
  return manager.query<Position[]>(text, parameters);
}

/** The grants of a formula: one for each rule that grants, with the prohibitions that are above it. */
const branches = (formula: Condition): Condition[] => distinct('any' in formula ? formula.any : [formula]);

const conjuncts = (formula: Condition): Condition[] =>
  'all' in formula ? formula.all.flatMap(conjuncts) : [formula];

function branchSql<T>(
  sql: ConditionSql,
  metadata: EntityMetadata,
  parts: Condition[],
  request: PageRequest<T>,
): string {
  const row: Source = { metadata, name: 'entry' };
  const id = sql.column(idOf(metadata), row);
  const sortColumn = columnOf(metadata, request.sort.property);
  if (sortColumn.isNullable)
    throw new Error(`A page cannot be sorted by ${sortColumn.propertyName}, which has nulls.`);
  const sort = sql.column(sortColumn, row);
  const driving = parts.find((part): part is Relation => 'some' in part && !part.not);
  const from = driving ? `${drivenBy(sql, driving, row)} CROSS JOIN` : '';
  const conditions = [
    ...(driving ? [`${id} = driver.id`] : []),
    sql.where({ all: parts.filter((part) => part !== driving) }, row),
    ...keyset(sql, sort, id, request),
  ];
  return `SELECT * FROM (
    SELECT ${sort} AS sort, ${id} AS id FROM ${from} ${sql.table(metadata)} ${row.name}
    WHERE ${conditions.join(' AND ')} ${orderBy(sort, id, request)}) ${sql.unused('branch')}`;
}

/**
 * The ids that a relation leads to, as the table to begin with. A user with three shares has three rows to sort; the
 * other way round, the database would walk all documents to find them. (SQLite keeps the order of a CROSS JOIN.)
 */
function drivenBy(sql: ConditionSql, relation: Relation, row: Source): string {
  const { keys, child, from, where } = sql.related(relation, row);
  const [key, ...more] = keys;
  if (key?.referencedColumn !== idOf(row.metadata) || more.length)
    throw new Error(`A page cannot follow "${relation.field}", which does not refer to the id.`);
  return `(SELECT DISTINCT ${sql.column(key, child)} AS id FROM ${from} WHERE ${where}) driver`;
}

function keyset<T>(
  sql: ConditionSql,
  sort: string,
  id: string,
  { after, sort: { direction } }: PageRequest<T>,
) {
  if (!after) return [];
  return [
    `(${sort}, ${id}) ${direction === 'ASC' ? '>' : '<'} (${sql.bind(after.value)}, ${sql.bind(after.id)})`,
  ];
}

const orderBy = <T>(sort: string, id: string, { sort: { direction }, limit }: PageRequest<T>) =>
  `ORDER BY ${sort} ${direction}, ${id} ${direction} LIMIT ${Math.trunc(limit) + 1}`;

function idOf({ name, primaryColumns: [id, ...more] }: EntityMetadata) {
  if (!id || more.length) throw new Error(`A page needs one primary column, and ${name} has not one.`);
  return id;
}

/** The rows themselves, as accessible at the moment of reading as they were when they were found. */
async function load<T extends ObjectLiteral>(
  manager: EntityManager,
  entity: Type<T>,
  formulas: readonly Condition[],
  page: readonly Position[],
  { relations = [] }: PageRequest<T>,
): Promise<T[]> {
  if (!page.length) return [];
  const query = manager.createQueryBuilder(entity, 'entry');
  const id = idOf(query.expressionMap.mainAlias!.metadata);
  query.where({ [id.propertyName]: In(page.map((each) => each.id)) });
  for (const relation of relations) query.leftJoinAndSelect(`entry.${relation}`, relation);
  // A CASE, so that no planner takes a rule's index for these few ids and reads all that the rule grants.
  addConditions(
    query,
    manager.dataSource.driver.escape('entry'),
    formulas,
    (where) => `CASE WHEN ${where} THEN 1 ELSE 0 END = 1`,
  );
  const rows = new Map((await query.getMany()).map((row) => [id.getEntityValue(row) as unknown, row]));
  return page.flatMap((each) => rows.get(each.id) ?? []);
}
