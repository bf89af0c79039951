import { BadCredential } from '../../authentication/challenge.js';

/**
 * HTTP Basic (RFC 7617), as it travels:
 *
 *     GET /me HTTP/1.1
 *     Authorization: Basic Ym9iOmNvcnJlY3QtaG9yc2UtYmF0dGVyeS1zdGFwbGU=
 *
 * The token is Base64 of `user:password` in UTF-8.
 */
export interface BasicPair {
  readonly username: string;
  readonly password: string;
}

/** Is this Basic, well-formed or not? The scheme's name has no case (RFC 9110, section 11.1). */
export const speaksBasic = (authorization: string): boolean => /^basic(?:[\s,]|$)/i.test(authorization);

/**
 * Reads the one canonical form and no other: what two readers could read differently is refused. Either part may
 * come out empty; the verifier refuses that, and counts it.
 *
 * @param authorization the field's value
 * @throws BadCredential `invalid_credentials`
 */
export function parseBasic(authorization: string): BasicPair {
  const token = /^basic +(\S+)$/i.exec(authorization)?.[1];
  if (!token) throw malformed('is missing, or not one word');
  const bytes = Buffer.from(token, 'base64');
  // Node's decoder skips what is no Base64, and takes what is cut short or has bits left over.
  if (bytes.toString('base64') !== token) throw malformed('is not canonical Base64');
  const text = utf8(bytes);
  if (/\p{Cc}/u.test(text)) throw malformed('holds control characters');
  const colon = text.indexOf(':');
  if (colon < 0) throw malformed('holds no colon');
  // At the first colon: a username cannot hold one (RFC 7617, section 2), a password can.
  return { username: text.slice(0, colon), password: text.slice(colon + 1) };
}

/**
 * @throws TypeError where the username holds a colon, or either part a control character
 */
export function formatBasic({ username, password }: BasicPair): string {
  if (username.includes(':')) throw new TypeError('A username in HTTP Basic cannot hold a colon.');
  if (/\p{Cc}/u.test(username + password)) throw new TypeError('HTTP Basic cannot carry control characters.');
  return `Basic ${Buffer.from(`${username}:${password}`, 'utf8').toString('base64')}`;
}

// A byte order mark is kept: dropping it would make two spellings of one credential.
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function utf8(bytes: Buffer): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw malformed('is not UTF-8');
  }
}

const malformed = (what: string) => new BadCredential('invalid_credentials', `the Basic token ${what}`);
