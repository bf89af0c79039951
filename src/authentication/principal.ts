import { ForbiddenException } from '@nestjs/common';

/** The application adds its roles by declaration merging: `interface Roles { admin: true }`. */
export interface Roles {}
export type Role = keyof Roles & string;

/** The application adds its OAuth scopes by declaration merging: `interface Scopes { 'documents:read': true }`. */
export interface Scopes {}
export type Scope = keyof Scopes & string;

/** The application adds its authorization detail types and their actions: `interface AuthorizationDetailTypes { document: 'read' }`. */
export interface AuthorizationDetailTypes {}

/** The actions granted on one object (RFC 9396 section 2). */
export interface AuthorizationDetail {
  readonly type: keyof AuthorizationDetailTypes & string;
  /** The object's id. */
  readonly identifier: string;
  readonly actions: readonly AuthorizationDetailTypes[keyof AuthorizationDetailTypes][];
}

/**
 * The names of the installed methods. Each method's folder adds its own by declaration merging, so that the name of
 * a deleted method is a compile error.
 */
export interface AuthMethods {}
export type MethodName = keyof AuthMethods & string;

/** The caller, however it was authenticated: `request.user`. */
export interface Principal {
  readonly id: string;
  readonly kind: 'user' | 'client';
  readonly tenantId: string;
  readonly roles: readonly Role[];
  /** Upper bound of what the roles grant. Absent: no bound. Empty: nothing. */
  readonly scopes?: readonly string[];
  /** A second upper bound, on single objects (RFC 9396). Absent: no bound. Empty: no object. */
  readonly authorizationDetails?: readonly AuthorizationDetail[];
  /** One proof, or several if the route requires several methods. */
  readonly proofs: readonly [Proof, ...Proof[]];
}

/** A symbol, because no response contains it. */
export const ROTATION = Symbol('rotation');

/** How the caller was authenticated. */
export interface Proof {
  readonly method: MethodName;
  /** The id of the credential; never the secret. */
  readonly credentialId?: string;
  /** When the caller last authenticated (`auth_time`, OpenID Connect Core 1.0 section 2). `new Date(0)`: unknown, so never recent. */
  readonly at: Date;
  /** Authentication method references (RFC 8176). */
  readonly amr: readonly string[];
  /** Sender-constrained: a copy of the request is useless without a key (mTLS, DPoP, signatures). */
  readonly bound: boolean;
  /** A sign-in of the account's holder. Only a sign-in manages the account's credentials. Absent: a credential for requests. */
  readonly signIn?: true;
  /** The credential authenticates requests and manages nothing, not even itself: a replaced secret, a presigned URL. */
  readonly restricted?: true;
  /** Which rotation created the secret: its `previousUntil` in milliseconds, null for the first secret. */
  readonly [ROTATION]?: number | null;
  /** The OAuth client that calls for the account. */
  readonly client?: string;
  /** The actor, if another party acts for the account (`act`, RFC 8693 section 4.1). */
  readonly act?: Actor;
}

/** An actor, and the actor before it in a chain of delegation. */
export interface Actor {
  readonly sub: string;
  readonly act?: Actor;
}

/** Whether all of `scopes` are within `limit`. Absent: no limit. */
export const scopesInclude = (limit: readonly string[] | undefined, scopes: readonly string[] | undefined) =>
  !limit || Boolean(scopes?.every((scope) => limit.includes(scope)));

/**
 * Merges the principals of several proofs. The scopes and authorization details are the intersection of theirs.
 * @returns undefined if the proofs belong to different accounts
 */
export function mergePrincipals(first: Principal, ...others: readonly Principal[]): Principal | undefined {
  let merged = first;
  for (const other of others) {
    if (other.id !== merged.id || other.tenantId !== merged.tenantId) return undefined;
    const scopes =
      merged.scopes && other.scopes
        ? merged.scopes.filter((scope) => other.scopes?.includes(scope))
        : (merged.scopes ?? other.scopes);
    const details = intersect(merged.authorizationDetails, other.authorizationDetails);
    merged = {
      ...merged,
      ...(scopes && { scopes }),
      ...(details && { authorizationDetails: details }),
      proofs: [...merged.proofs, ...other.proofs],
    };
  }
  return merged;
}

/** The actions on each object that both allow. */
function intersect(
  details: Principal['authorizationDetails'],
  other: Principal['authorizationDetails'],
): readonly AuthorizationDetail[] | undefined {
  if (!details || !other) return details ?? other;
  return details.flatMap((mine) =>
    other
      .filter(({ identifier }) => identifier === mine.identifier)
      .map(({ actions }) => ({
        ...mine,
        actions: mine.actions.filter((action) => actions.includes(action)),
      })),
  );
}

/**
 * Rejects a caller who may not list, create, change or end credentials, sessions, consents and other sign-ins. Every route
 * that does so calls this. Only a sign-in without limits may: what a lesser credential creates could exceed or outlive it.
 *
 * @throws ForbiddenException `limited_credential`
 */
export function assertMayManageCredentials({ scopes, authorizationDetails, proofs }: Principal): void {
  if (scopes || authorizationDetails) throw limitedCredential();
  if (!proofs.some(({ signIn }) => signIn) || !proofs.every(isUnrestricted)) throw limitedCredential();
}

/** Whether this credential authenticated the request, and may manage itself: change its secret, end itself. */
export const isOwnCredential = ({ proofs }: Principal, method: MethodName, id: string): boolean =>
  proofs.every(isUnrestricted) &&
  proofs.some((proof) => proof.method === method && proof.credentialId === id);

const isUnrestricted = ({ restricted, client }: Proof): boolean => !restricted && client === undefined;

export const limitedCredential = () =>
  new ForbiddenException({
    code: 'limited_credential',
    detail:
      'Only a sign-in without limits may do this. Your credential manages itself and credentials that it created.',
  });

const CLOCK_TOLERANCE_SECONDS = 5;

/** Whether the caller authenticated at most `seconds` ago. A time in the future is an error, and so not recent. */
export function isRecent({ at }: Proof, seconds: number): boolean {
  const age = (Date.now() - at.getTime()) / 1000;
  return age >= -CLOCK_TOLERANCE_SECONDS && age < seconds;
}
