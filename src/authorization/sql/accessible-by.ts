import type { Type } from '@nestjs/common';
import type {
  DeleteQueryBuilder,
  ObjectLiteral,
  QueryBuilder,
  SelectQueryBuilder,
  UpdateQueryBuilder,
} from 'typeorm';
import type { Action, AppAbility } from '../rules.js';
import { ConditionSql } from './condition-sql.js';
import { conditionsFor, type Condition } from './condition-ast.js';

/**
 * Limits a query to the rows for which `ability.can(action, row, field)` is true. Whatever the query asks for, before
 * or after this call, is ANDed with it as a whole.
 *
 * @throws Error where a rule looks at something that the entity does not have
 */
export function accessibleBy<T extends ObjectLiteral>(
  query: SelectQueryBuilder<T>,
  ability: AppAbility,
  action: Action,
  field?: string,
): SelectQueryBuilder<T> {
  const { name, metadata } = mainAlias(query);
  const { driver } = query.dataSource;
  addConditions(
    query,
    driver.escape(name),
    conditionsFor(ability, action, metadata.target as Type<T>, field ? [field] : []),
  );
  return query;
}

/**
 * The same for an UPDATE or a DELETE: it touches only rows for which the action is allowed on each of the fields, as
 * they are at that moment. Without fields the action must be allowed on any field at all.
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

/** Adds the formulas to a query in which the entity's table goes by this (escaped) name. */
export function addConditions<T extends ObjectLiteral>(
  query: QueryBuilder<T>,
  name: string,
  formulas: readonly Condition[],
  written = (where: string) => where,
): void {
  const { expressionMap } = query;
  const sql = new ConditionSql(query.dataSource, query.getParameters());
  const where = written(sql.where({ all: formulas }, { metadata: mainAlias(query).metadata, name }));
  query.setParameters(sql.parameters);
  // Not andWhere(): TypeORM joins its clauses without brackets, so that an orWhere() elsewhere would open the gate.
  const already = expressionMap.extraAppendedAndWhereCondition;
  expressionMap.extraAppendedAndWhereCondition = already ? `${already} AND ${where}` : where;
}

function mainAlias<T extends ObjectLiteral>({ expressionMap }: QueryBuilder<T>) {
  const alias = expressionMap.mainAlias;
  if (!alias?.hasMetadata || typeof alias.metadata.target === 'string')
    throw new Error('Only a query about an entity’s class can be limited to what is accessible.');
  return alias;
}
