import type { Type } from '@nestjs/common';
import type {
  DeleteQueryBuilder,
  ObjectLiteral,
  QueryBuilder,
  SelectQueryBuilder,
  UpdateQueryBuilder,
} from 'typeorm';
import type { Action, AppAbility } from '../app-ability.js';
import { conditionsFor, type Condition } from './condition-ast.js';
import { ConditionSql } from './condition-sql.js';

/**
 * Limits a SELECT to the rows for which `ability.can(action, row, field)` is true. The limit is ANDed with the query's
 * whole WHERE, written before or after this call.
 *
 * @throws Error if a rule has a condition on a field that the entity lacks
 */
export function accessibleBy<T extends ObjectLiteral>(
  query: SelectQueryBuilder<T>,
  ability: AppAbility,
  action: Action,
  field?: string,
): SelectQueryBuilder<T> {
  const { name, metadata } = mainAlias(query);
  const conditions = conditionsFor(ability, action, metadata.target as Type<T>, field ? [field] : []);
  addConditions(query, query.dataSource.driver.escape(name), conditions);
  return query;
}

/**
 * Limits an UPDATE or a DELETE to the rows for which the action is permitted on each of the fields. The rows count as
 * they are when the statement runs.
 * @param fields if empty, the action must be permitted on any one field
 */
export function onlyAccessible<
  T extends ObjectLiteral,
  Q extends UpdateQueryBuilder<T> | DeleteQueryBuilder<T>,
>(query: Q, ability: AppAbility, action: Action, entity: Type<T>, fields: readonly string[] = []): Q {
  const { metadata } = mainAlias(query);
  if (metadata.target !== entity)
    throw new Error(`The statement is about ${metadata.name}, not ${entity.name}.`);
  const table = new ConditionSql(query.dataSource).table(metadata);
  addConditions(query, table, conditionsFor(ability, action, entity, fields));
  return query;
}

/**
 * Adds conditions to a query.
 * @param name the entity's table in the query: its escaped alias or name
 */
function addConditions<T extends ObjectLiteral>(
  query: QueryBuilder<T>,
  name: string,
  conditions: readonly Condition[],
): void {
  const { expressionMap } = query;
  const sql = new ConditionSql(query.dataSource, query.getParameters());
  const where = sql.where({ all: conditions }, { metadata: mainAlias(query).metadata, name });
  query.setParameters(sql.parameters);
  // Not andWhere(): TypeORM joins its clauses without brackets, so an orWhere() elsewhere would lift the limit.
  const existing = expressionMap.extraAppendedAndWhereCondition;
  expressionMap.extraAppendedAndWhereCondition = existing ? `${existing} AND ${where}` : where;
}

function mainAlias<T extends ObjectLiteral>({ expressionMap }: QueryBuilder<T>) {
  const alias = expressionMap.mainAlias;
  if (!alias?.hasMetadata || typeof alias.metadata.target === 'string')
    throw new Error('Only a query of an entity class can be limited to accessible rows.');
  return alias;
}
