export const USERNAME = /^[A-Za-z0-9](?:[A-Za-z0-9._@-]{0,62}[A-Za-z0-9])?$/;

/**
 * The canonical form of a username: ASCII in lower case, so that no two usernames look alike (RFC 8265 allows
 * Cyrillic and full-width look-alikes).
 * @returns undefined if the text cannot be a username
 */
export function normalizeUsername(text: string): string | undefined {
  return USERNAME.test(text) ? text.toLowerCase() : undefined;
}
