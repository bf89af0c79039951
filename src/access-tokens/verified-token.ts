import { BadCredential } from '../authentication/challenge.js';
import {
  SECOND_FACTOR,
  type Actor,
  type AuthorizationDetail,
  type MethodName,
  type Principal,
} from '../authentication/principal.js';
import { principalOf } from '../users/principal-of.js';
import type { User } from '../users/user.entity.js';
import type { Claims } from './access-token-claims.js';
import { SCOPE_OF_ACTION } from './document-access.js';
import { isScope } from '../permissions.js';

/** A token that is good, of an account as it is now. */
export interface VerifiedToken {
  readonly account: User;
  readonly issuer: string;
  /** That of its row; of another issuer's, a digest of the issuer and the subject. */
  readonly credentialId: string;
  readonly clientId: string | undefined;
  /** A ceiling: those of this API among its scopes. */
  readonly scopes: readonly string[];
  readonly details: readonly AuthorizationDetail[] | undefined;
  /** When the account has signed in; where that is not said, when the token was issued. */
  readonly at: Date;
  readonly amr: readonly string[];
  readonly act: Actor | undefined;
  readonly expiresAt: Date;
  /** Whether it is bound to a key, or to a certificate, that this request has proved to hold. */
  readonly bound: boolean;
}

const CODE = 'invalid_token';

/** One refusal for every wrong token (RFC 6750, section 3.1), whatever is wrong with it. */
export const invalidToken = (reason: string): BadCredential =>
  new BadCredential(CODE, reason, { error: CODE });

/** Whose token it is, and how it came to be one. */
export interface Source {
  readonly account: User;
  readonly issuer: string;
  readonly credentialId: string;
  /** What the issuer's tokens reach at the most. */
  readonly scopes: readonly string[];
}

export function verified({ account, issuer, credentialId, scopes }: Source, claims: Claims): VerifiedToken {
  const { client_id: clientId, auth_time, amr = [], acr, act, cnf, authorization_details: details } = claims;
  const factors = acr === SECOND_FACTOR ? [...new Set([...amr, SECOND_FACTOR])] : amr;
  return {
    account,
    issuer,
    credentialId,
    clientId,
    scopes: grantedBy(claims).filter((scope) => scopes.includes(scope)),
    details,
    at: new Date((auth_time ?? claims.iat ?? Date.now() / 1000) * 1000),
    // How it signed in tells nothing without when: a refreshed token is younger than the sign-in behind it.
    amr: auth_time === undefined ? [] : factors,
    act,
    expiresAt: new Date(claims.exp * 1000),
    bound: Boolean(cnf),
  };
}

/** Where single documents were asked for and no scope of this API, the scopes follow from what may be done to those. */
function grantedBy({ scope = '', authorization_details: details = [] }: Claims): string[] {
  const scopes = scope.split(' ').filter(isScope);
  if (scopes.length) return scopes;
  return [...new Set(details.flatMap(({ actions }) => actions.map((action) => SCOPE_OF_ACTION[action])))];
}

/**
 * The caller whom a token speaks for. Client and user are told apart by the account, never by a name: a client that goes
 * by the name of a user is not that user (RFC 9700, section 4.15).
 *
 * @throws BadCredential where the account is disabled
 */
export function principalFromToken(method: MethodName, token: VerifiedToken): Principal {
  const { account, credentialId, clientId: client, at, amr, bound, act, scopes, details } = token;
  const proof = {
    method,
    credentialId,
    at,
    amr,
    bound,
    // A token ends soon, and with a consent: it makes no credential that would stay.
    restricted: true,
    ...(client && { client }),
    ...(act && { act }),
  } as const;
  const principal = principalOf(account, proof, invalidToken, scopes);
  return details ? { ...principal, authorizationDetails: details } : principal;
}
