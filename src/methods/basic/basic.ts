import { BadCredential } from '../../authentication/challenge.js';

/**
 * HTTP Basic (RFC 7617):
 *
 *     GET /me HTTP/1.1
 *     Authorization: Basic Ym9iOmNvcnJlY3QtaG9yc2UtYmF0dGVyeS1zdGFwbGU=
 *
 * The token is the Base64 of `username:password` in UTF-8.
 */
export interface BasicCredentials {
  readonly username: string;
  readonly password: string;
}

/** Whether a header has the Basic scheme, well-formed or not. Scheme names ignore case (RFC 9110 section 11.1). */
export const isBasic = (authorization: string): boolean => /^basic(?:[\s,]|$)/i.test(authorization);

/**
 * Accepts only the canonical form, so that no two parsers read a header differently. The username and the password may
 * be empty: `PasswordsService` rejects and counts that.
 *
 * @param authorization the value of the header
 * @throws BadCredential `invalid_credentials`
 */
export function parseBasic(authorization: string): BasicCredentials {
  const token = /^basic +(\S+)$/i.exec(authorization)?.[1];
  if (!token) throw malformed('is missing or has spaces');
  const bytes = Buffer.from(token, 'base64');
  // Node's decoder ignores invalid characters, missing padding and unused bits.
  if (bytes.toString('base64') !== token) throw malformed('is not canonical Base64');
  const text = utf8(bytes);
  if (/\p{Cc}/u.test(text)) throw malformed('contains control characters');
  const colon = text.indexOf(':');
  if (colon < 0) throw malformed('contains no colon');
  // A username cannot contain a colon, a password can (RFC 7617 section 2).
  return { username: text.slice(0, colon), password: text.slice(colon + 1) };
}

/** @throws TypeError for a username with a colon, and for control characters */
export function formatBasic({ username, password }: BasicCredentials): string {
  if (username.includes(':')) throw new TypeError('A username in HTTP Basic cannot contain a colon.');
  if (/\p{Cc}/u.test(username + password))
    throw new TypeError('HTTP Basic cannot contain control characters.');
  return `Basic ${Buffer.from(`${username}:${password}`, 'utf8').toString('base64')}`;
}

// Keeps a byte order mark: without it, two byte sequences would be the same credential.
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function utf8(bytes: Buffer): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw malformed('is not UTF-8');
  }
}

const malformed = (fault: string) => new BadCredential('invalid_credentials', `the Basic token ${fault}`);
