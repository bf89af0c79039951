import { BadCredential } from '../authentication/challenge.js';
import { amrWithAcr } from '../authentication/factors.js';
import {
  type Actor,
  type AuthorizationDetail,
  type MethodName,
  type Principal,
} from '../authentication/principal.js';
import { SCOPE_OF_ACTION, isScope } from '../permissions.js';
import { type User, principalOf } from '../users/user.entity.js';
import type { AccessTokenClaims } from './access-token-claims.js';

/** A valid token, and its account as the database has it now. */
export interface VerifiedToken {
  readonly account: User;
  readonly issuer: string;
  /** For a token of this server, the id of its row; otherwise a digest of the issuer and `sub`. */
  readonly credentialId: string;
  readonly clientId: string | undefined;
  /** The token's scopes that this API defines: an upper bound. */
  readonly scopes: readonly string[];
  readonly details: readonly AuthorizationDetail[] | undefined;
  /** `auth_time`; without it, `iat` of a client's token, because a person may have signed in long before. */
  readonly at: Date;
  readonly amr: readonly string[];
  readonly act: Actor | undefined;
  readonly expiresAt: Date;
  /** Whether the token is bound to a key or certificate, whose possession this request has proved. */
  readonly bound: boolean;
}

/** A token whose issuer and account are known. Its binding is still to be checked. */
export interface ResolvedToken {
  readonly account: User;
  readonly issuer: string;
  readonly credentialId: string;
  /** The scopes that this API accepts from the issuer. */
  readonly allowedScopes: readonly string[];
  readonly claims: AccessTokenClaims;
}

const ERROR_CODE = 'invalid_token';

/** Every invalid token gets the same error code (RFC 6750 section 3.1). The reason goes to the log only. */
export const invalidToken = (reason: string): BadCredential =>
  new BadCredential(ERROR_CODE, reason, { error: ERROR_CODE });

export function toVerifiedToken({ claims, allowedScopes, ...token }: ResolvedToken): VerifiedToken {
  const { client_id: clientId, auth_time, amr = [], acr, act, cnf, authorization_details: details } = claims;
  return {
    ...token,
    clientId,
    scopes: grantedScopes(claims).filter((scope) => allowedScopes.includes(scope)),
    details,
    at: new Date(((auth_time ?? (token.account.kind === 'client' && claims.iat)) || 0) * 1000),
    // Without `auth_time` the age of the sign-in is unknown (a refreshed token is younger), so `amr` is ignored.
    amr: auth_time === undefined ? [] : amrWithAcr(amr, acr),
    act,
    expiresAt: new Date(claims.exp * 1000),
    bound: Boolean(cnf),
  };
}

/** The token's scopes; if it has authorization details and no scope of this API, the scopes that they imply. */
function grantedScopes({ scope = '', authorization_details: details = [] }: AccessTokenClaims): string[] {
  const scopes = scope.split(' ').filter(isScope);
  if (scopes.length) return scopes;
  return [...new Set(details.flatMap(({ actions }) => actions.map((action) => SCOPE_OF_ACTION[action])))];
}

/**
 * The kind of the principal is that of the account and never comes from a name in the token. A client named like a
 * user is not that user (RFC 9700 section 4.15).
 *
 * @throws BadCredential if the account is disabled
 */
export function principalFromToken(method: MethodName, token: VerifiedToken): Principal {
  const { account, credentialId, clientId: client, at, amr, bound, act, scopes, details } = token;
  const proof = {
    method,
    credentialId,
    at,
    amr,
    bound,
    // An access token is short-lived and revocable, so it must not create a lasting credential.
    restricted: true,
    ...(client && { client }),
    ...(act && { act }),
  } as const;
  const principal = principalOf(account, proof, invalidToken, scopes);
  return details ? { ...principal, authorizationDetails: details } : principal;
}
