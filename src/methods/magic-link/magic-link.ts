/**
 * Signing in by a mail. The browser requests it:
 *
 *     POST /auth/magic-link HTTP/1.1
 *     Content-Type: application/json
 *
 *     { "email": "bob@acme.example", "as": "session" }
 *
 *     HTTP/1.1 202 Accepted
 *     Set-Cookie: __Host-magic-link=…; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=600
 *
 * The response is the same for every address. The mail has a link and a code. The link works only in the browser with the cookie;
 * opening it shows a page whose button signs in. The code serves other devices:
 *
 *     POST /auth/magic-link/code HTTP/1.1
 *     Content-Type: application/json
 *
 *     { "email": "bob@acme.example", "code": "492816", "as": "session" }
 *
 * Link and code are valid for ten minutes and for one sign-in together. A newer request replaces them.
 */
import { createHmac, hash, randomBytes, randomInt, type KeyObject } from 'node:crypto';

export const MAGIC_LINK_LIFETIME_SECONDS = 10 * 60;
export const MAX_WRONG_CODES = 5;

const CODE_DIGITS = 6;

/** The token of a link, or the value of the cookie: 256 bits. */
export const newSecret = (): string => randomBytes(32).toString('base64url');

export const isSecret = (text: unknown): text is string =>
  typeof text === 'string' && /^[\w-]{43}$/.test(text);

/** SHA-256: the secrets have 256 bits, so a slow hash would add nothing. */
export const hashSecret = (secret: string): string => hash('sha256', secret, 'hex');

export const newCode = (): string => String(randomInt(10 ** CODE_DIGITS)).padStart(CODE_DIGITS, '0');

/** A code as people type it, without spaces. @returns undefined if it is no code */
export function parseCode(text: string): string | undefined {
  const code = text.replace(/\s/g, '');
  return /^\d{6}$/.test(code) ? code : undefined;
}

/** A MAC, because anyone could compute the hashes of all codes. It is bound to one request by the hash of its token. */
export const codeMac = (key: KeyObject, tokenHash: string, code: string): string =>
  createHmac('sha256', key).update(`${tokenHash}:${code}`).digest('base64url');

/** `sign-in` of an address, or `step-up` of an account. */
export type Purpose = 'sign-in' | 'step-up';

/** Identifies a mailbox without its address, because strangers type any address. */
export const mailboxMac = (key: KeyObject, purpose: Purpose, owner: string): string =>
  createHmac('sha256', key).update(`${purpose}:${owner}`).digest('base64url');
