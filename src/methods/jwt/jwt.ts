import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/**
 * A JWT access token (RFC 9068), as it travels:
 *
 *     GET /me HTTP/1.1
 *     Authorization: Bearer eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6Ii4uLiJ9.eyJpc3MiOi...
 *
 * and, where it has run out, the refresh token that came with it (RFC 6749, section 6):
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
  /** The account. */
  readonly sub: string;
  /** The family of refresh tokens that it came with, and ends with. */
  readonly sid: string;
  readonly jti: string;
  /** Seconds since 1970, whole. */
  readonly iat: number;
  readonly exp: number;
  readonly auth_time: number;
  readonly amr: readonly string[];
  /** A ceiling, its scopes separated by spaces; absent: none. */
  readonly scope?: string;
}

/** Seconds. Short, though a token dies with its family anyway: who copies this method may not read the database. */
export const ACCESS_LIFETIME = 300;
/** Seconds by which another process's clock may be ahead of this one's. */
const SKEW = 5;
/**
 * What is wrong with the claims of a token whose signature is good, or undefined.
 * @param now seconds since 1970
 */
export function faultOf(
  claims: Readonly<Record<string, unknown>>,
  expected: { readonly iss: string; readonly aud: string },
  now: number,
): string | undefined {
  const { iss, aud, sub, sid, jti, iat, exp, nbf, auth_time, amr, scope } = claims;
  if (iss !== expected.iss) return 'another issuer';
  // One audience and ours: a token that is good elsewhere too could be replayed here from there.
  if (aud !== expected.aud) return 'another audience';
  if (![sub, sid, jti].every((text) => typeof text === 'string' && text !== '')) return 'sub, sid or jti';
  if (![iat, exp, auth_time].every(Number.isSafeInteger)) return 'iat, exp or auth_time';
  if ((exp as number) <= now) return 'expired';
  if ((iat as number) > now + SKEW || (nbf !== undefined && !((nbf as number) <= now + SKEW)))
    return 'not yet good';
  // Whoever turns this server's clock back makes tokens live longer, and no further than to their `iat`.
  if ((exp as number) - (iat as number) > ACCESS_LIFETIME) return 'lives too long';
  if (!Array.isArray(amr) || !amr.every((method) => typeof method === 'string')) return 'amr';
  if (scope !== undefined && typeof scope !== 'string') return 'scope';
  return undefined;
}

const REFRESH_TOKEN = /^atlas_rt_([\w-]{22})\.([\w-]{43})$/;

/** A refresh token: opaque, an id to look it up by and 256 bits that prove it. */
export interface RefreshTokenParts {
  readonly id: string;
  readonly secret: string;
}

export function mintRefreshToken(): { id: string; token: string; hash: string } {
  const [id, secret] = [randomBytes(16).toString('base64url'), randomBytes(32).toString('base64url')];
  return { id, token: `atlas_rt_${id}.${secret}`, hash: hashSecret(secret) };
}

export function parseRefreshToken(token: string): RefreshTokenParts | undefined {
  const [, id, secret] = REFRESH_TOKEN.exec(token) ?? [];
  return id && secret ? { id, secret } : undefined;
}

/** SHA-256, hexadecimal: what is kept of a secret of 256 random bits. */
export const hashSecret = (secret: string): string => createHash('sha256').update(secret).digest('hex');

/** In constant time, and at the same cost where there is nothing to compare with. */
export function sameHash(hash: string, kept: string | undefined): boolean {
  const [left, right] = [Buffer.from(hash), Buffer.from(kept ?? '0'.repeat(hash.length))];
  return timingSafeEqual(left, right) && kept !== undefined;
}
