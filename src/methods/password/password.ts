/**
 * Signing in with a password, as it travels:
 *
 *     POST /auth/login HTTP/1.1
 *     Content-Type: application/json
 *
 *     { "username": "bob", "password": "correct-horse-battery-staple", "as": "session" }
 *
 * The answer is the issuer's that `as` names: a session's cookie, or a token.
 */
export interface Login {
  readonly username: string;
  readonly password: string;
  /** The name of an installed method that issues. */
  readonly as: string;
  /** A ceiling on what is issued, as {@link formatScope} writes it; without it, the roles alone decide. */
  readonly scope?: string;
}

/** The words of a scope (RFC 6749, section 3.3), each once. They are told apart by one space: two leave an empty word. */
export const parseScope = (scope: string): string[] => [...new Set(scope.split(' '))];

export const formatScope = (scopes: readonly string[]): string => scopes.join(' ');
