/**
 * Signing in with a password:
 *
 *     POST /auth/login HTTP/1.1
 *     Content-Type: application/json
 *
 *     { "username": "bob", "password": "correct-horse-battery-staple", "as": "session" }
 *
 * The response comes from the issuer that `as` names: a session cookie, or tokens.
 */
export interface Login {
  readonly username: string;
  readonly password: string;
  /** The name of an installed method with an issuer. */
  readonly as: string;
  /** Limits the issued credential, as {@link formatScope} writes it; absent: no limit but the account's roles. */
  readonly scope?: string;
}

export const formatScope = (scopes: readonly string[]): string => scopes.join(' ');
