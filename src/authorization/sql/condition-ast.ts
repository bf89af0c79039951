import type { RuleOf } from '@casl/ability';
import { rulesToCondition } from '@casl/ability/extra';
import type { Type } from '@nestjs/common';
import type { Action, AppAbility } from '../rules.js';
import { conditionsMatcher, type Value } from './conditions.js';

type RuleNode = NonNullable<RuleOf<AppAbility>['ast']>;

/** The field's value is one of these, or none of these; null may be among them. */
export interface Membership {
  readonly field: string;
  readonly not: boolean;
  readonly oneOf: readonly (Value | null)[];
}

/** The field's value stands so to this one; `not` holds for null as well. */
export interface Order {
  readonly field: string;
  readonly not: boolean;
  readonly order: '<' | '<=' | '>' | '>=';
  readonly than: number | Date;
}

/** Some related row matches, or none does. */
export interface Relation {
  readonly field: string;
  readonly not: boolean;
  readonly some: Condition;
}

/**
 * A condition without a NOT over anything but a single comparison, so that NULL has no way to turn a whole part
 * into "unknown". `all: []` is true, `any: []` is false.
 */
export type Condition =
  | { readonly all: readonly Condition[] }
  | { readonly any: readonly Condition[] }
  | Membership
  | Order
  | Relation;

/** What must hold of a row for the action on each of these fields; without fields, for the action on any field. */
export function conditionsFor(
  ability: AppAbility,
  action: Action,
  subject: Type<object>,
  fields: readonly string[],
): Condition[] {
  const asked = fields.length ? fields.map((field) => permission(ability, action, subject, field)) : [];
  return distinct(asked.length ? asked : [permission(ability, action, subject)]);
}

function permission(ability: AppAbility, action: Action, subject: Type<object>, field?: string): Condition {
  const formula = rulesToCondition<AppAbility, Condition, Condition>(
    ability.rulesFor(action, subject, field),
    (rule) => formulaOf(rule.ast, rule.inverted),
    { and: (all) => ({ all }), or: (any) => ({ any }), empty: () => ({ all: [] }) },
  );
  return formula ?? { any: [] };
}

/** The formula of conditions that come from no rule, such as a list's filters. */
export const filterCondition = (conditions: Readonly<Record<string, Value | null>>): Condition =>
  formulaOf(conditionsMatcher({ ...conditions }).ast, false);

export const distinct = (formulas: readonly Condition[]): Condition[] => [
  ...new Map(formulas.map((formula) => [JSON.stringify(formula), formula])).values(),
];

const ORDERS = { lt: '<', lte: '<=', gt: '>', gte: '>=' } as const;

function formulaOf(node: RuleNode | undefined, not: boolean): Condition {
  if (!node) throw new Error('The ability was not made with this folder’s conditionsMatcher.');
  const { operator, value } = node;
  if (operator === 'and') {
    const parts = (value as RuleNode[]).map((part) => formulaOf(part, not));
    return not ? { any: parts } : { all: parts };
  }
  const { field } = node as RuleNode & { field: string };
  if (operator === 'elemMatch') return { field, not, some: formulaOf(value as RuleNode, false) };
  if (operator === 'eq' || operator === 'in') return { field, not, oneOf: [value].flat() as Value[] };
  if (operator === 'ne' || operator === 'nin') return { field, not: !not, oneOf: [value].flat() as Value[] };
  return { field, not, order: ORDERS[operator as keyof typeof ORDERS], than: value as number | Date };
}
