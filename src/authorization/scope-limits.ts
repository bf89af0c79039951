import type { Principal } from '../authentication/principal.js';
import type { Action, Policy, RawRule } from './rules.js';

/** What scopes leave of a rule that grants; all of it where there is no ceiling. */
export function limitRuleToScopes(rule: RawRule, scopes: Principal['scopes'], policy: Policy): RawRule[] {
  if (!scopes) return [rule];
  return [rule.subject].flat().flatMap((subject) => {
    const opens = (each: Action) =>
      scopesAllowing(policy, subject, each).some((scope) => scopes.includes(scope));
    const action = [rule.action].flat().filter(opens);
    return action.length ? [{ ...rule, subject, action }] : [];
  });
}

/** The scopes that open an action; any of them is enough. */
export const scopesAllowing = ({ scopes }: Policy, subject: unknown, action: Action): string[] =>
  Object.entries(scopes)
    .filter(([, opened]) => opened.some(([type, actions]) => type === subject && actions.includes(action)))
    .map(([scope]) => scope);

/** What authorization details leave of a rule that grants: the single rows that they name, each with its own actions. */
export function limitRuleToDetails(
  rule: RawRule,
  details: Principal['authorizationDetails'],
  policy: Policy,
): RawRule[] {
  if (!details) return [rule];
  const about = Object.values(policy.details);
  return [rule.subject].flat().flatMap((subject) => {
    if (!about.some(([type]) => type === subject)) return [{ ...rule, subject }];
    return [rule.action].flat().flatMap((action) => {
      const ids = details
        .filter(({ type, actions }) => {
          const [named, opens] = policy.details[type];
          return named === subject && actions.some((each) => opens[each].includes(action));
        })
        .map(({ identifier }) => identifier);
      return ids.length ? [{ ...rule, subject, action, conditions: among(ids, rule.conditions) }] : [];
    });
  });
}

/** The conditions, of these rows only. */
function among(ids: readonly string[], conditions: RawRule['conditions'] = {}): RawRule['conditions'] {
  if ('id' in conditions) throw new Error('A rule about single rows cannot be cut to others by their ids.');
  return { ...conditions, id: { $in: ids } };
}
