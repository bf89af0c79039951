import { SetMetadata, createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { authRequestOf, callerOf } from './caller.js';
import type { MethodName } from './principal.js';

/** Which methods a route accepts: a name, any of several, or all of several. They nest. */
export type Plan = MethodName | { readonly anyOf: readonly Plan[] } | { readonly allOf: readonly Plan[] };

export const anyOf = (...plans: readonly Plan[]): Plan => ({ anyOf: plans });
export const allOf = (...plans: readonly Plan[]): Plan => ({ allOf: plans });

/**
 * The ways to satisfy a plan, in the order in which they are tried; each is the methods that it takes together.
 * This one form drives the guard, the challenges, the OpenAPI document and `GET /methods`.
 */
export type Alternatives = readonly (readonly MethodName[])[];

export function alternatives(plan: Plan): Alternatives {
  if (typeof plan === 'string') return [[plan]];
  if ('anyOf' in plan) return plan.anyOf.flatMap(alternatives);
  return plan.allOf
    .map(alternatives)
    .reduce((left, right) => left.flatMap((l) => right.map((r) => [...new Set([...l, ...r])])), [[]]);
}

/** One key for both, so that the nearest of `@Public` and `@Authenticate` wins: a route's over its controller's. */
export const AUTHENTICATE = 'auth:plan';
export const PUBLIC = 'public';

/** The route accepts any of these and nothing else. Without it, a route accepts every installed method. */
export const Authenticate = (...plans: readonly [Plan, ...Plan[]]) =>
  SetMetadata(AUTHENTICATE, anyOf(...plans));

/** The route is open. Nothing is open that does not say so. */
export const Public = () => SetMetadata(AUTHENTICATE, PUBLIC);

export const HTTPS_ONLY_ROUTE = 'auth:revealing';

/** Whoever reads a request to this route learns a secret from it (a login), so in production it is for HTTPS only. */
export const HttpsOnly = () => SetMetadata(HTTPS_ONLY_ROUTE, true);

/** What a body can be: `application/json`, or `application/x-www-form-urlencoded`. */
export type MediaType = 'json' | 'form';
export const CONSUMES = 'auth:takes';

/** The route takes such bodies. Without it, a route takes JSON alone, which no page of another site can send unasked. */
export const Consumes = (...media: readonly [MediaType, ...MediaType[]]) => SetMetadata(CONSUMES, media);

export const SELF_SERVICE = 'auth:self-service';

/**
 * The route concerns nothing but the caller's own account and credentials, so no rule of the policy is asked.
 * For who is calling, and for the routes by which an account manages its own credentials.
 */
export const SelfService = () => SetMetadata(SELF_SERVICE, true);

/** The {@link Principal} who is calling, as a handler's parameter. */
export const Caller = createParamDecorator((_: unknown, context: ExecutionContext) => callerOf(context));

/** The request as methods see it, as a handler's parameter: for ceremonies, which end in an issuer. */
export const CurrentRequest = createParamDecorator((_: unknown, context: ExecutionContext) =>
  authRequestOf(context),
);
