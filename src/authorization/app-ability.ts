import {
  Ability,
  fieldPatternMatcher,
  type MongoAbility,
  type MongoQuery,
  type RawRuleOf,
} from '@casl/ability';
import type { Type } from '@nestjs/common';
import type { Requirement, StepUp } from '../authentication/step-up.js';
import { conditionsMatcher } from './sql/conditions-matcher.js';

/**
 * `update` is checked against the stored row, `set` against the row with its new values. So a rule can forbid a value.
 * PostgreSQL's row security calls the two checks USING and WITH CHECK.
 */
export type Action = 'create' | 'read' | 'update' | 'set' | 'delete';

/** An entity's class, or one of its instances. */
export type Subject = Type<object> | object;

/** CASL's raw rule. A prohibition may name the step-up that lifts it. */
export type PolicyRule = RawRuleOf<MongoAbility<[Action, Subject]>> & { readonly stepUp?: StepUp };

type AbilityArguments = [action: Action, subject: Subject, field?: string];

/** The CASL ability of one principal. It also names the requirement that would permit a denied action. */
export class AppAbility extends Ability<[Action, Subject], MongoQuery> {
  /**
   * @param limitedRules the rules of the principal, limited to the scopes of its credential
   * @param unlimitedRules the same rules without that limit
   * @param scopesAllowing the scopes that permit an action on an entity
   */
  constructor(
    private readonly limitedRules: PolicyRule[],
    private readonly unlimitedRules: PolicyRule[] = limitedRules,
    private readonly scopesAllowing: (action: Action, entity: Type<object>) => readonly string[] = () => [],
  ) {
    super(limitedRules, {
      conditionsMatcher,
      fieldMatcher: fieldPatternMatcher,
      detectSubjectType: entityOf,
    });
  }

  /**
   * The scopes or the step-up that would permit a denied action. If both are missing, it names the scopes. The
   * response to the next request then names the step-up.
   *
   * @returns undefined if neither would permit it
   */
  requirementFor(...denied: AbilityArguments): Requirement | undefined {
    if (afterStepUp(this.limitedRules).can(...denied)) return this.stepUpFor(...denied);
    if (!afterStepUp(this.unlimitedRules).can(...denied)) return undefined;
    const [action, subject] = denied;
    return { scopes: this.scopesAllowing(action, entityOf(subject)) };
  }

  private stepUpFor(...denied: AbilityArguments): StepUp | undefined {
    const rule: PolicyRule | undefined = this.relevantRuleFor(...denied)?.origin;
    return rule?.stepUp;
  }
}

/** The ability of a principal that has taken every step-up. */
const afterStepUp = (rules: PolicyRule[]) => new AppAbility(rules.filter(({ stepUp }) => !stepUp));

/** Finds the entity by class. A property of the object is not enough: a request's body could carry it. */
const entityOf = (subject: Subject) =>
  (typeof subject === 'function' ? subject : subject.constructor) as Type<object>;
