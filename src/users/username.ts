/**
 * The one spelling of a username, or undefined where it cannot be one. ASCII only and without case, so that no two
 * accounts can look alike (RFC 8265 allows far more, and with it Cyrillic and full-width twins).
 */
export function normalizeUsername(text: string): string | undefined {
  return /^[a-z0-9](?:[a-z0-9._@-]{0,62}[a-z0-9])?$/i.test(text) ? text.toLowerCase() : undefined;
}
