import { hash, randomBytes, randomUUID } from 'node:crypto';
import { z } from 'zod';

/**
 * A JWT access token (RFC 9068):
 *
 *     GET /me HTTP/1.1
 *     Authorization: Bearer eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6Ii4uLiJ9.eyJpc3MiOi...
 *
 * When it expires, the client sends the refresh token that came with it (RFC 6749 section 6):
 *
 *     POST /auth/refresh HTTP/1.1
 *     Content-Type: application/json
 *
 *     { "refresh_token": "atlas_rt_<id>.<secret>" }
 */
export interface AccessClaims {
  readonly iss: string;
  readonly aud: string;
  readonly client_id: string;
  /** The account's id. */
  readonly sub: string;
  /** The id of the token family, with which the token ends. */
  readonly sid: string;
  readonly jti: string;
  /** All times in whole seconds since 1970. */
  readonly iat: number;
  readonly exp: number;
  readonly auth_time: number;
  readonly amr: readonly string[];
  /** Upper bound, separated by spaces; absent: no limit but the account's roles. */
  readonly scope?: string;
}

/** A token response (RFC 6749 section 5.1). */
export const TokenResponse = z
  .object({
    access_token: z.string(),
    token_type: z.literal('Bearer'),
    /** Seconds. */
    expires_in: z.int(),
    refresh_token: z.string(),
    scope: z.string().optional(),
  })
  .meta({ id: 'TokenResponse' });
export type TokenResponse = z.output<typeof TokenResponse>;
/** The response of a step-up: the sign-in keeps its refresh token. */
export type AccessTokenResponse = Omit<TokenResponse, 'refresh_token'>;

/**
 * Short, because an application that verifies tokens without this database accepts a copied token until it expires. Here
 * a token also ends with its family.
 */
export const ACCESS_TOKEN_LIFETIME_SECONDS = 300;
/** The clock of another process may be ahead by this much. */
const CLOCK_SKEW_SECONDS = 5;

/** The sign-in that a token comes from. */
interface SignIn {
  readonly id: string;
  readonly userId: string;
  readonly authAt: Date;
  readonly amr: readonly string[];
}

/** @param issuer also the audience: the token is for this API */
export function newAccessClaims(
  issuer: string,
  { id: sid, userId: sub, authAt, amr }: SignIn,
  scopes: readonly string[] | null,
): AccessClaims {
  const iat = Math.floor(Date.now() / 1000);
  return {
    iss: issuer,
    aud: issuer,
    client_id: 'auth-atlas',
    sub,
    sid,
    jti: randomUUID(),
    iat,
    exp: iat + ACCESS_TOKEN_LIFETIME_SECONDS,
    auth_time: Math.floor(authAt.getTime() / 1000),
    amr,
    ...(scopes && { scope: scopes.join(' ') }),
  };
}

/**
 * Checks the claims of a token with a valid signature.
 * @param now seconds since 1970
 * @returns the first fault, for the log; undefined for valid claims
 */
export function accessClaimsFault(
  claims: Readonly<Record<string, unknown>>,
  expected: { readonly iss: string; readonly aud: string },
  now: number,
): string | undefined {
  const { iss, aud, sub, sid, jti, iat, exp, nbf, auth_time, amr, scope } = claims;
  if (iss !== expected.iss) return 'another issuer';
  // Exactly one audience: a token that another API also accepts could be replayed from there.
  if (aud !== expected.aud) return 'another audience';
  if (![sub, sid, jti].every((text) => typeof text === 'string' && text !== '')) return 'sub, sid or jti';
  if (![iat, exp, auth_time].every(Number.isSafeInteger)) return 'iat, exp or auth_time';
  if ((exp as number) <= now) return 'expired';
  if (Math.max(iat as number, auth_time as number) > now + CLOCK_SKEW_SECONDS) return 'issued in the future';
  if (nbf !== undefined && !((nbf as number) <= now + CLOCK_SKEW_SECONDS)) return 'not yet valid';
  if ((exp as number) - (iat as number) > ACCESS_TOKEN_LIFETIME_SECONDS) return 'lives too long';
  if (!Array.isArray(amr) || !amr.every((method) => typeof method === 'string')) return 'amr';
  if (scope !== undefined && typeof scope !== 'string') return 'scope';
  return undefined;
}

const REFRESH_TOKEN = /^atlas_rt_([\w-]{22})\.([\w-]{43})$/;

/** A refresh token: `id` finds its row, `secret` (256 random bits) proves it. */
export interface RefreshTokenParts {
  readonly id: string;
  readonly secret: string;
}

export function newRefreshToken(): { id: string; token: string; hash: string } {
  const [id, secret] = [randomBytes(16).toString('base64url'), randomBytes(32).toString('base64url')];
  return { id, token: `atlas_rt_${id}.${secret}`, hash: hashSecret(secret) };
}

export function parseRefreshToken(token: string): RefreshTokenParts | undefined {
  const [, id, secret] = REFRESH_TOKEN.exec(token) ?? [];
  return id && secret ? { id, secret } : undefined;
}

/** SHA-256, hexadecimal. A fast hash is enough for 256 random bits. */
export const hashSecret = (secret: string): string => hash('sha256', secret, 'hex');
