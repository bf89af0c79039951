import type { RuleOf } from '@casl/ability';
import { rulesToCondition } from '@casl/ability/extra';
import type { Type } from '@nestjs/common';
import type { Action, AppAbility } from '../app-ability.js';
import { conditionsMatcher, type ConditionValue } from './conditions-matcher.js';

/**
 * The AST between CASL's rules and SQL. In SQL, `NOT (a AND b)` is "unknown" if a column is NULL, and a row with an
 * unknown condition is not found. So the AST has no NOT over several parts: only a single comparison is negated, and
 * the SQL of that one handles NULL. `all: []` is true and `any: []` is false.
 */
export type Condition =
  | { readonly all: readonly Condition[] }
  | { readonly any: readonly Condition[] }
  | Membership
  | Comparison
  | RelatedRow;

/** The field has one of these values, null included; `not`: none of them. */
export interface Membership {
  readonly field: string;
  readonly not: boolean;
  readonly oneOf: readonly (ConditionValue | null)[];
}

/** A comparison of the field with the value. Null does not match it; with `not`, null does. */
export interface Comparison {
  readonly field: string;
  readonly not: boolean;
  readonly operator: '<' | '<=' | '>' | '>=';
  readonly value: number | Date;
}

/** At least one row of a to-many relation matches; `not`: none does. */
export interface RelatedRow {
  readonly field: string;
  readonly not: boolean;
  readonly matches: Condition;
}

/**
 * The conditions under which the ability permits an action on each of these fields. All of them must hold.
 * @param fields if empty, the action must be permitted on any one field
 */
export function conditionsFor(
  ability: AppAbility,
  action: Action,
  entity: Type<object>,
  fields: readonly string[],
): readonly Condition[] {
  if (!fields.length) return [conditionFor(ability, action, entity)];
  return distinct(fields.map((field) => conditionFor(ability, action, entity, field)));
}

/** CASL combines the rules: every grant is an OR, and each prohibition is an AND on the grants before it. */
function conditionFor(ability: AppAbility, action: Action, entity: Type<object>, field?: string): Condition {
  const condition = rulesToCondition<AppAbility, Condition, Condition>(
    ability.rulesFor(action, entity, field),
    (rule) => conditionOf(rule.ast, rule.inverted),
    { and: (all) => ({ all }), or: (any) => ({ any }), empty: () => ({ all: [] }) },
  );
  return condition ?? { any: [] };
}

/** The condition of a list's filter. */
export const filterCondition = (filter: Readonly<Record<string, ConditionValue | null>>): Condition =>
  conditionOf(conditionsMatcher({ ...filter }).ast, false);

/** Drops repeated conditions. */
export const distinct = (conditions: readonly Condition[]): readonly Condition[] =>
  conditions.length < 2
    ? conditions
    : [...new Map(conditions.map((condition) => [JSON.stringify(condition), condition])).values()];

const COMPARISONS = { lt: '<', lte: '<=', gt: '>', gte: '>=' } as const;

/** A node of CASL's own AST (`@ucast/core`). */
type CaslNode = NonNullable<RuleOf<AppAbility>['ast']>;

/** @param not moves a NOT down to the single comparisons: NOT (a AND b) becomes NOT a OR NOT b */
function conditionOf(node: CaslNode | undefined, not: boolean): Condition {
  if (!node) throw new Error('The ability was not built with the conditionsMatcher of this folder.');
  const { operator, value } = node;
  if (operator === 'and') {
    const parts = (value as CaslNode[]).map((part) => conditionOf(part, not));
    return not ? { any: parts } : { all: parts };
  }
  const { field } = node as CaslNode & { field: string };
  if (operator === 'elemMatch') return { field, not, matches: conditionOf(value as CaslNode, false) };
  if (operator === 'eq' || operator === 'in')
    return { field, not, oneOf: [value].flat() as ConditionValue[] };
  if (operator === 'ne' || operator === 'nin')
    return { field, not: !not, oneOf: [value].flat() as ConditionValue[] };
  return {
    field,
    not,
    operator: COMPARISONS[operator as keyof typeof COMPARISONS],
    value: value as number | Date,
  };
}
