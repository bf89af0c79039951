import type { AuthRequest } from './request.js';

const CREDENTIALS = /^([\w-]+) +(\S+)$/;

/**
 * The token of an `Authorization` header with a scheme such as `Bearer` or `DPoP` (RFC 9110 section 11.4).
 * @returns undefined for another scheme or form
 */
export function tokenFromHeader(request: AuthRequest, scheme: string): string | undefined {
  const [, said, token] = CREDENTIALS.exec(request.header('Authorization') ?? '') ?? [];
  return said?.toLowerCase() === scheme.toLowerCase() ? token : undefined;
}

/** Longer tokens are not parsed. */
const MAX_TOKEN_CHARACTERS = 16_384;

/**
 * The `iss` of a JWT, unverified. Methods that share a scheme choose their tokens by it.
 * @returns undefined if the text is not a JWT or has no `iss`
 */
export function unverifiedIssuer(token: string): string | undefined {
  const [, payload, ...rest] = token.length > MAX_TOKEN_CHARACTERS ? [] : token.split('.', 4);
  if (!payload || rest.length !== 1) return undefined;
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
    const { iss } = (claims ?? {}) as { iss?: unknown };
    return typeof iss === 'string' ? iss : undefined;
  } catch {
    return undefined;
  }
}
