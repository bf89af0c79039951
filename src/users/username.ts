/**
 * The canonical form of a username: ASCII in lower case, so that no two usernames look alike (RFC 8265 allows
 * Cyrillic and full-width look-alikes).
 * @returns undefined if the text cannot be a username
 */
export function normalizeUsername(text: string): string | undefined {
  return /^[a-z0-9](?:[a-z0-9._@-]{0,62}[a-z0-9])?$/i.test(text) ? text.toLowerCase() : undefined;
}
