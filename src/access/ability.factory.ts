import { AbilityBuilder, createMongoAbility, type MongoAbility } from '@casl/ability';
import { Inject, Injectable, type Type } from '@nestjs/common';
import type { Principal, Role, SCOPES } from '../auth/index.js';
import { assertExpressible, conditionsMatcher } from './conditions.js';

/**
 * What can be done to a subject. `update` asks about the row as it stands, `set` about the row as it would become
 * (PostgreSQL's row security calls the two USING and WITH CHECK), so a rule can forbid a value and not only a row.
 */
export type Action = 'create' | 'read' | 'update' | 'set' | 'delete';
/** An entity's class, or one of its instances. */
export type Subject = Type<object> | object;
export type AppAbility = MongoAbility<[Action, Subject]>;
export type Rules = Pick<AbilityBuilder<AppAbility>, 'can' | 'cannot'>;
export type Scope = (typeof SCOPES)[number];

/** All rules of an application, from its one page. */
export interface Policy {
  /** What holds for everybody, whatever the role. */
  readonly everyone: (principal: Principal, rules: Rules) => void;
  readonly roles: Readonly<Record<Role, (principal: Principal, rules: Rules) => void>>;
  /** What each scope leaves open of what the roles grant. */
  readonly scopes: Readonly<Record<Scope, readonly (readonly [Type<object>, readonly Action[]])[]>>;
}

export const POLICY = Symbol('policy');

type RawRule = AppAbility['rules'][number];

@Injectable()
export class AbilityFactory {
  constructor(@Inject(POLICY) private readonly policy: Policy) {}

  /**
   * What the principal may do: what its roles grant, less every prohibition, cut to what its scopes name.
   * Prohibitions win whichever role they come from: CASL lets a later `can` beat an earlier `cannot`, so they go last.
   *
   * @throws Error where a rule has an undefined condition, which would match rows that lack the field, or one that
   *   SQL could not answer alike: a fault of the policy
   */
  for(principal: Principal): AppAbility {
    const { can, cannot, rules } = new AbilityBuilder<AppAbility>(createMongoAbility);
    this.policy.everyone(principal, { can, cannot });
    for (const role of new Set(principal.roles)) this.policy.roles[role](principal, { can, cannot });
    for (const rule of rules) assertExpressible(rule.conditions);
    const grants = rules
      .filter((rule) => !rule.inverted)
      .flatMap((rule) => this.withinScopes(rule, principal));
    const prohibitions = rules.filter((rule) => rule.inverted);
    return createMongoAbility<AppAbility>([...grants, ...prohibitions], {
      conditionsMatcher,
      // By class and never by a property, which a request's body could carry.
      detectSubjectType: (subject) => subject.constructor as Type<object>,
    });
  }

  private withinScopes(rule: RawRule, { scopes }: Principal): RawRule[] {
    if (!scopes) return [rule];
    return [rule.subject].flat().flatMap((subject) => {
      const action = [rule.action].flat().filter((each) => this.opens(scopes, subject, each));
      return action.length ? [{ ...rule, subject, action }] : [];
    });
  }

  private opens(scopes: readonly string[], subject: unknown, action: Action): boolean {
    return Object.entries(this.policy.scopes).some(
      ([scope, opened]) =>
        scopes.includes(scope) &&
        opened.some(([type, actions]) => type === subject && actions.includes(action)),
    );
  }
}
