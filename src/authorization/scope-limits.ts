import type { Principal } from '../authentication/principal.js';
import type { Action, PolicyRule } from './app-ability.js';
import type { Policy } from './policy-types.js';

/**
 * Limits a grant to the actions that the scopes permit.
 * @param scopes undefined if the credential has no limit
 * @returns a rule per entity, without the entities of which no action is left
 */
export function limitRuleToScopes(
  rule: PolicyRule,
  scopes: Principal['scopes'],
  policy: Policy,
): PolicyRule[] {
  if (!scopes) return [rule];
  return [rule.subject].flat().flatMap((subject) => {
    const isPermitted = (each: Action) =>
      scopesAllowing(policy, each, subject).some((scope) => scopes.includes(scope));
    const action = [rule.action].flat().filter(isPermitted);
    return action.length ? [{ ...rule, subject, action }] : [];
  });
}

/** The scopes that permit an action on an entity; any one of them is enough. */
export const scopesAllowing = ({ scopes }: Policy, action: Action, entity: unknown): string[] =>
  Object.entries(scopes)
    .filter(([, permissions]) =>
      permissions.some(({ subject, actions }) => subject === entity && actions.includes(action)),
    )
    .map(([scope]) => scope);

/**
 * Limits a grant to the rows that authorization details identify (RFC 9396 section 2), each row to its own actions.
 * Entities without a type of detail keep their grants.
 * @param details undefined if the credential has no limit
 */
export function limitRuleToDetails(
  rule: PolicyRule,
  details: Principal['authorizationDetails'],
  { authorizationDetails: types }: Policy,
): PolicyRule[] {
  if (!details) return [rule];
  return [rule.subject].flat().flatMap((subject) => {
    if (!Object.values(types).some((type) => type.subject === subject)) return [{ ...rule, subject }];
    return [rule.action].flat().flatMap((action) => {
      const ids = details
        .filter((detail) => {
          const type = types[detail.type];
          return (
            type.subject === subject && detail.actions.some((each) => type.actions[each].includes(action))
          );
        })
        .map(({ identifier }) => identifier);
      return ids.length ? [{ ...rule, subject, action, conditions: limitToIds(rule.conditions, ids) }] : [];
    });
  });
}

/** @throws Error if the rule already has a condition on the id, because one field has only one condition here */
function limitToIds(
  conditions: PolicyRule['conditions'] = {},
  ids: readonly string[],
): PolicyRule['conditions'] {
  if ('id' in conditions)
    throw new Error('A rule with a condition on the id cannot be limited to authorization details.');
  return { ...conditions, id: { $in: ids } };
}
