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
 * The names of the installed methods. Each method's folder adds its own by declaration merging, so that a name
 * that is still used after its folder was deleted is a compile error.
 */
export interface AuthMethods {}
export type MethodName = keyof AuthMethods & string;

/** Who is calling, whichever way it was proved. The only thing that the rest of the application sees. */
export interface Principal {
  readonly id: string;
  readonly kind: 'user' | 'client';
  readonly tenantId: string;
  readonly roles: readonly Role[];
  /** A ceiling on what the roles grant; absent means no ceiling, empty means nothing. */
  readonly scopes?: readonly string[];
  /** A second ceiling, on single documents (RFC 9396); absent means no ceiling, empty means none of them. */
  readonly authorizationDetails?: readonly AuthorizationDetail[];
  /** One proof, or several where the route asks for several methods. */
  readonly proofs: readonly [Proof, ...Proof[]];
}

/** The authentication context (`acr`) of a sign-in with a second factor; a challenge asks for it by this name (RFC 9470). */
export const SECOND_FACTOR = 'mfa';

/** How the caller proved who it is. */
export interface Proof {
  readonly method: MethodName;
  /** Which of the account's credentials it was; never the secret itself. */
  readonly credentialId?: string;
  /** When the caller last proved it (`auth_time`, OpenID Connect Core 1.0 section 2). */
  readonly at: Date;
  /** How, in the words of RFC 8176. */
  readonly amr: readonly string[];
  /** True where a stolen copy of what was sent is useless without a key (mTLS, DPoP, signatures). */
  readonly bound: boolean;
  /**
   * True where the credential ends at a set time, or works from some addresses only. Other methods cannot hold to that, so
   * it makes none of their credentials.
   */
  readonly restricted?: true;
  /** The OAuth client that it was sent by, where a client calls for an account. */
  readonly client?: string;
  /** Who acts for the account, where that is another (`act`, RFC 8693 section 4.1). */
  readonly act?: Actor;
}

/** Who acts; in turn for whom, where it was handed on. */
export interface Actor {
  readonly sub: string;
  readonly act?: Actor;
}

/** Whether a ceiling of scopes lies wholly under another; absent means no ceiling. */
export const scopesInclude = (
  ceiling: readonly string[] | undefined,
  scopes: readonly string[] | undefined,
) => !ceiling || Boolean(scopes?.every((scope) => ceiling.includes(scope)));

/**
 * The one principal that several proofs add up to. They must speak of the same account; the narrowest ceiling
 * of scopes wins.
 *
 * @returns undefined where the proofs are of different accounts
 */
export function mergePrincipals(first: Principal, ...others: readonly Principal[]): Principal | undefined {
  let merged = first;
  for (const other of others) {
    if (other.id !== merged.id || other.tenantId !== merged.tenantId) return undefined;
    const scopes =
      merged.scopes && other.scopes
        ? merged.scopes.filter((scope) => other.scopes?.includes(scope))
        : (merged.scopes ?? other.scopes);
    const details = narrowest(merged.authorizationDetails, other.authorizationDetails);
    merged = {
      ...merged,
      ...(scopes && { scopes }),
      ...(details && { authorizationDetails: details }),
      proofs: [...merged.proofs, ...other.proofs],
    };
  }
  return merged;
}

/** What both ceilings leave of each document. */
function narrowest(
  ceiling: Principal['authorizationDetails'],
  other: Principal['authorizationDetails'],
): readonly AuthorizationDetail[] | undefined {
  if (!ceiling || !other) return ceiling ?? other;
  return ceiling.flatMap((mine) =>
    other
      .filter(({ identifier }) => identifier === mine.identifier)
      .map(({ actions }) => ({
        ...mine,
        actions: mine.actions.filter((action) => actions.includes(action)),
      })),
  );
}
