import type { MongoQuery } from '@casl/ability';
import type { Type } from '@nestjs/common';
import type { AuthorizationDetailTypes, Principal, Role, Scope } from '../authentication/principal.js';
import type { StepUp } from '../authentication/step-up.js';
import type { Action } from './app-ability.js';

/** All rules of an application. `src/policy.ts` is the only one. */
export interface Policy {
  /** The rules of every principal. */
  readonly everyone: DeclareRules;
  readonly roles: Readonly<Record<Role, DeclareRules>>;
  /** The actions that each OAuth scope permits, as far as the roles grant them. */
  readonly scopes: Readonly<Record<Scope, readonly ScopePermission[]>>;
  /** For each type of authorization detail (RFC 9396): its entity, and the actions that each of its own actions permits. */
  readonly authorizationDetails: {
    readonly [T in keyof AuthorizationDetailTypes]: {
      readonly subject: Type<object>;
      readonly actions: Readonly<Record<AuthorizationDetailTypes[T], readonly Action[]>>;
    };
  };
}

/** The injection token of the {@link Policy}. */
export const POLICY = Symbol('policy');

export type DeclareRules = (principal: Principal, rules: Rules) => void;

export interface ScopePermission {
  readonly subject: Type<object>;
  readonly actions: readonly Action[];
}

/** CASL's `can` and `cannot`. A prohibition wins over every grant, in any order. */
export interface Rules {
  readonly can: DeclareRule<void>;
  readonly cannot: DeclareRule<Prohibition>;
}

interface DeclareRule<Declared> {
  <T extends object>(
    actions: Action | Action[],
    entities: Type<T> | Type<T>[],
    conditions?: MongoQuery<T>,
  ): Declared;
  <T extends object>(
    actions: Action | Action[],
    entities: Type<T> | Type<T>[],
    fields: string[],
    conditions?: MongoQuery<T>,
  ): Declared;
}

export interface Prohibition {
  /**
   * @param reason the `detail` of the 403
   * @param stepUp the sign-in that lifts the prohibition. Declare no such rule for a principal with this sign-in.
   */
  because(reason: string, stepUp?: StepUp): void;
}
