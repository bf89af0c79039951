import { AbilityBuilder, createMongoAbility, type MongoAbility } from '@casl/ability';
import { Inject, Injectable } from '@nestjs/common';
import type { Principal } from '../authentication/principal.js';
import { AppAbility, type Action, type PolicyRule, type Subject } from './app-ability.js';
import { POLICY, type Policy, type Rules } from './policy-types.js';
import { limitRuleToDetails, limitRuleToScopes, scopesAllowing } from './scope-limits.js';
import { assertTranslatable } from './sql/conditions-matcher.js';

@Injectable()
export class AbilityFactory {
  constructor(@Inject(POLICY) private readonly policy: Policy) {}

  /**
   * The ability of a principal: the grants of its roles, limited to its authorization details and scopes, then every
   * prohibition. CASL lets a later `can` override an earlier `cannot`, so the prohibitions come last.
   *
   * @throws Error if a rule has an undefined condition, which would match rows that lack the field, or a condition
   *   that SQL would evaluate differently
   */
  for(principal: Principal): AppAbility {
    const { policy } = this;
    const { authorizationDetails, scopes } = principal;
    const rules = this.rulesOf(principal);
    for (const rule of rules) assertTranslatable(rule.conditions);
    const prohibitions = rules.filter((rule) => rule.inverted);
    const grants = rules
      .filter((rule) => !rule.inverted)
      .flatMap((rule) => limitRuleToDetails(rule, authorizationDetails, policy));
    const grantsWithinScopes = grants.flatMap((rule) => limitRuleToScopes(rule, scopes, policy));
    return new AppAbility(
      [...grantsWithinScopes, ...prohibitions],
      [...grants, ...prohibitions],
      (action, entity) => scopesAllowing(policy, action, entity),
    );
  }

  private rulesOf(principal: Principal): PolicyRule[] {
    const builder = new AbilityBuilder<MongoAbility<[Action, Subject]>>(createMongoAbility);
    const rules = rulesInto(builder);
    this.policy.everyone(principal, rules);
    for (const role of new Set(principal.roles)) this.policy.roles[role](principal, rules);
    return builder.rules;
  }
}

/** CASL's `can` and `cannot`, with a `because` that also stores the step-up on the rule. */
function rulesInto({ can, cannot, rules }: AbilityBuilder<MongoAbility<[Action, Subject]>>): Rules {
  return {
    can: (...declaration: unknown[]) => {
      can(...(declaration as Parameters<typeof can>));
    },
    cannot: (...declaration: unknown[]) => {
      cannot(...(declaration as Parameters<typeof cannot>));
      const rule = rules.at(-1)!;
      return { because: (reason, stepUp) => void Object.assign(rule, { reason, ...(stepUp && { stepUp }) }) };
    },
  };
}
