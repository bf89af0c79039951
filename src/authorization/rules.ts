import type { AbilityBuilder, MongoAbility } from '@casl/ability';
import type { Type } from '@nestjs/common';
import type { AuthorizationDetailTypes, Principal, Role, Scope } from '../authentication/principal.js';
import type { Requirement } from '../authentication/challenge.js';

/**
 * What can be done to a subject. `update` asks about the row as it stands, `set` about the row as it would become
 * (PostgreSQL's row security calls the two USING and WITH CHECK), so a rule can forbid a value and not only a row.
 */
export type Action = 'create' | 'read' | 'update' | 'set' | 'delete';
/** An entity's class, or one of its instances. */
export type Subject = Type<object> | object;
export type AppAbility = MongoAbility<[Action, Subject]>;
export type Rules = Pick<AbilityBuilder<AppAbility>, 'can' | 'cannot'>;

/** All rules of an application, from its one page. */
export interface Policy {
  /** What holds for everybody, whatever the role. */
  readonly everyone: (principal: Principal, rules: Rules) => void;
  readonly roles: Readonly<Record<Role, (principal: Principal, rules: Rules) => void>>;
  /** What each scope leaves open of what the roles grant. */
  readonly scopes: Readonly<Record<Scope, readonly (readonly [Type<object>, readonly Action[]])[]>>;
  /** What authorization details of each type are about, and what each of their actions leaves open there. */
  readonly details: {
    readonly [T in keyof AuthorizationDetailTypes]: readonly [
      Type<object>,
      Readonly<Record<AuthorizationDetailTypes[T], readonly Action[]>>,
    ];
  };
  /** By its reason, a prohibition that does not hold for whoever signs in so: it asks for a step up (RFC 9470). */
  readonly stepUps: Readonly<Record<string, Requirement>>;
}

export const POLICY = Symbol('policy');

export type RawRule = AppAbility['rules'][number];
