import type { AuthRequest } from './request.js';

const CREDENTIALS = /^([\w-]+) +(\S+)$/;

/**
 * The token of an `Authorization` field of one scheme (RFC 9110, section 11.4): `Bearer`, `DPoP`.
 * @returns undefined where the field has another scheme, or another form
 */
export function tokenFromHeader(request: AuthRequest, scheme: string): string | undefined {
  const [, said, token] = CREDENTIALS.exec(request.header('Authorization') ?? '') ?? [];
  return said?.toLowerCase() === scheme.toLowerCase() ? token : undefined;
}

/** Whose tokens are longer, we do not know. */
const LONGEST = 16_384;

/**
 * The issuer that a JWT names. Nothing is believed of it: it tells whose token it claims to be, so that methods which share
 * a scheme can each know their own.
 * @returns undefined where it is no JWT, or names none
 */
export function unverifiedIssuer(token: string): string | undefined {
  const [, payload, ...rest] = token.length > LONGEST ? [] : token.split('.', 4);
  if (!payload || rest.length !== 1) return undefined;
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
    const { iss } = (claims ?? {}) as { iss?: unknown };
    return typeof iss === 'string' ? iss : undefined;
  } catch {
    return undefined;
  }
}
