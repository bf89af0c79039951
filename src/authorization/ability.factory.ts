import { AbilityBuilder, createMongoAbility } from '@casl/ability';
import { Inject, Injectable, type Type } from '@nestjs/common';
import type { Requirement } from '../authentication/challenge.js';
import type { Principal } from '../authentication/principal.js';
import { scopesAllowing, limitRuleToDetails, limitRuleToScopes } from './scope-limits.js';
import { assertTranslatable, conditionsMatcher } from './sql/conditions.js';
import { setRemedy } from './remedy.js';
import { POLICY, type AppAbility, type Policy, type RawRule, type Subject } from './rules.js';

@Injectable()
export class AbilityFactory {
  constructor(@Inject(POLICY) private readonly policy: Policy) {}

  /**
   * What the principal may do: what its roles grant, less every prohibition, cut to what its scopes and its authorization
   * details name. Prohibitions win whichever role they come from: CASL lets a later `can` beat an earlier `cannot`, so
   * they go last.
   *
   * @throws Error where a rule has an undefined condition, which would match rows that lack the field, or one that
   *   SQL could not answer alike: a fault of the policy
   */
  for(principal: Principal): AppAbility {
    const { can, cannot, rules } = new AbilityBuilder<AppAbility>(createMongoAbility);
    this.policy.everyone(principal, { can, cannot });
    for (const role of new Set(principal.roles)) this.policy.roles[role](principal, { can, cannot });
    for (const rule of rules) assertTranslatable(rule.conditions);
    const grants = rules
      .filter((rule) => !rule.inverted)
      .flatMap((rule) => limitRuleToDetails(rule, principal.authorizationDetails, this.policy));
    const within = grants.flatMap((rule) => limitRuleToScopes(rule, principal.scopes, this.policy));
    const prohibitions = rules.filter((rule) => rule.inverted);
    const ability = abilityOf([...within, ...prohibitions]);
    setRemedy(ability, (...asked) => this.remedy(asked, ability, { grants, within, prohibitions }));
    return ability;
  }

  private remedy(
    asked: Parameters<AppAbility['can']>,
    ability: AppAbility,
    rules: Readonly<Record<'grants' | 'within' | 'prohibitions', RawRule[]>>,
  ): Requirement | undefined {
    const { stepUps } = this.policy;
    const lasting = rules.prohibitions.filter(({ reason = '' }) => !Object.hasOwn(stepUps, reason));
    if (abilityOf([...rules.within, ...lasting]).can(...asked))
      return stepUps[ability.relevantRuleFor(...asked)?.reason ?? ''];
    if (!abilityOf([...rules.grants, ...lasting]).can(...asked)) return undefined;
    return { scopes: scopesAllowing(this.policy, typeOf(asked[1]), asked[0]) };
  }
}

const abilityOf = (rules: RawRule[]) =>
  createMongoAbility<AppAbility>(rules, { conditionsMatcher, detectSubjectType: typeOf });

/** By class and never by a property, which a request's body could carry. */
const typeOf = (subject: Subject) =>
  (typeof subject === 'function' ? subject : subject.constructor) as Type<object>;
