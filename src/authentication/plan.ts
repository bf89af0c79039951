import { SetMetadata, createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { authRequestOf, callerOf } from './request.js';
import type { MethodName } from './principal.js';

/** The methods that a route accepts: one, any of several, or all of several. They nest. */
export type Plan = MethodName | { readonly anyOf: readonly Plan[] } | { readonly allOf: readonly Plan[] };

export const anyOf = (...plans: readonly Plan[]): Plan => ({ anyOf: plans });
export const allOf = (...plans: readonly Plan[]): Plan => ({ allOf: plans });

/**
 * The combinations of methods that satisfy a plan, in the order in which they are tried. The guard, the challenges
 * and the OpenAPI document use this form.
 */
export type Alternatives = readonly (readonly MethodName[])[];

export function alternatives(plan: Plan): Alternatives {
  if (typeof plan === 'string') return [[plan]];
  if ('anyOf' in plan) return plan.anyOf.flatMap(alternatives);
  return plan.allOf
    .map(alternatives)
    .reduce((left, right) => left.flatMap((l) => right.map((r) => [...new Set([...l, ...r])])), [[]]);
}

/** A route, as `Reflector.getAllAndOverride` receives it. */
export type Targets = [handler: Function, controller: Function];
export type RouteReader<T> = (context: { getHandler(): Function; getClass(): Function }) => T;

/** Reads the metadata of each route once: reflection takes a microsecond per key. */
export function perRoute<T>(read: (targets: Targets) => T): RouteReader<T> {
  const values = new Map<Function, Map<Function, T>>();
  return (context) => {
    const [handler, controller] = [context.getHandler(), context.getClass()];
    const ofHandler = values.get(handler) ?? new Map<Function, T>();
    if (!ofHandler.has(controller)) {
      ofHandler.set(controller, read([handler, controller]));
      values.set(handler, ofHandler);
    }
    return ofHandler.get(controller) as T;
  };
}

/** One key for `@Public` and `@Authenticate`, so that a route's decorator overrides its controller's. */
export const AUTHENTICATE = 'auth:plan';
export const PUBLIC = 'public';

/** The route accepts any of these. Without the decorator, it accepts every installed method. */
export const Authenticate = (...plans: readonly [Plan, ...Plan[]]) =>
  SetMetadata(AUTHENTICATE, anyOf(...plans));

/** The route needs no credential. */
export const Public = () => SetMetadata(AUTHENTICATE, PUBLIC);

export const HTTPS_ONLY_ROUTE = 'auth:https-only';

/** Requests to the route carry a secret, such as a password: production accepts them over HTTPS only. */
export const HttpsOnly = () => SetMetadata(HTTPS_ONLY_ROUTE, true);

/** `application/json` or `application/x-www-form-urlencoded`. */
export type MediaType = 'json' | 'form';
export const CONSUMES = 'auth:consumes';

/** The media types of the body. Without the decorator: JSON only, which another site's page cannot send without CORS. */
export const Consumes = (...media: readonly [MediaType, ...MediaType[]]) => SetMetadata(CONSUMES, media);

export const SELF_SERVICE = 'auth:self-service';

/** The route concerns only the caller's own account and credentials, so no rule of the policy applies. */
export const SelfService = () => SetMetadata(SELF_SERVICE, true);

/** Parameter: the {@link Principal} of the caller. */
export const Caller = createParamDecorator((_: unknown, context: ExecutionContext) => callerOf(context));

/** Parameter: the {@link AuthRequest}, which a ceremony passes to its issuer. */
export const CurrentRequest = createParamDecorator((_: unknown, context: ExecutionContext) =>
  authRequestOf(context),
);
