/**
 * HTTP Digest (RFC 7616), as it travels:
 *
 *     GET /me HTTP/1.1
 *
 *     HTTP/1.1 401 Unauthorized
 *     WWW-Authenticate: Digest realm="auth-atlas", qop="auth, auth-int", algorithm=SHA-256, nonce="d1…",
 *         charset=UTF-8, userhash=true
 *
 *     GET /me HTTP/1.1
 *     Authorization: Digest username="bob", realm="auth-atlas", nonce="d1…", uri="/me", algorithm=SHA-256,
 *         qop=auth, nc=00000001, cnonce="f2…", response="75…"
 *
 *     HTTP/1.1 200 OK
 *     Authentication-Info: rspauth="6f…", qop=auth, nc=00000001, cnonce="f2…"
 *
 * The response is a hash of the password, the nonce and the request: the password stays with the caller, and what was
 * seen once is of no use for another request. `rspauth` shows that the server knows the password as well.
 */
import { createHash, timingSafeEqual } from 'node:crypto';

export type Algorithm = 'SHA-256' | 'SHA-512-256' | 'MD5';
export type Qop = 'auth' | 'auth-int';

/** OpenSSL's name of each, and the length of its hash in hexadecimal digits. */
const HASHES: Readonly<Record<Algorithm, readonly [name: string, digits: number]>> = {
  'SHA-256': ['sha256', 64],
  'SHA-512-256': ['sha512-256', 64],
  MD5: ['md5', 32],
};

export const isAlgorithm = (text: string): text is Algorithm => Object.hasOwn(HASHES, text);
export const hashLength = (algorithm: Algorithm): number => HASHES[algorithm][1];

/** H of RFC 7616, section 3.3: lower-case hexadecimal. Text is UTF-8. */
const hash = (algorithm: Algorithm, data: string | Uint8Array): string =>
  createHash(HASHES[algorithm][0]).update(data).digest('hex');

/** Parts of a hashed text in their normal form (section 4); none but the last can hold a colon. */
const joined = (...parts: readonly string[]): string => parts.map((part) => part.normalize('NFC')).join(':');

/**
 * H(A1), which is as good as the password itself (section 3.4.2). The username is taken as it is written:
 * another spelling is another hash.
 */
export const computeHa1 = (algorithm: Algorithm, username: string, realm: string, password: string): string =>
  hash(algorithm, joined(username, realm, password));

/** What stands for the username where nobody on the way is to read it (section 3.4.4). */
export const computeUserhash = (algorithm: Algorithm, username: string, realm: string): string =>
  hash(algorithm, joined(username, realm));

/** What both sides know of one exchange. */
export interface DigestParameters {
  readonly algorithm: Algorithm;
  readonly nonce: string;
  /** The request target. */
  readonly uri: string;
  readonly qop: Qop;
  /** How often this nonce has been used, this time included: eight hexadecimal digits. */
  readonly nc: string;
  readonly cnonce: string;
}

/**
 * The caller's `response` (section 3.4.1), and for an empty method the server's `rspauth` (section 3.5).
 * @param body of the request or of the answer; only `auth-int` covers it
 */
export function computeResponse(ha1: string, exchange: DigestParameters, method: string, body: Uint8Array): string {
  const { algorithm, nonce, uri, qop, nc, cnonce } = exchange;
  const a2 = `${method}:${uri}${qop === 'auth-int' ? `:${hash(algorithm, body)}` : ''}`;
  return hash(algorithm, `${ha1}:${nonce}:${nc}:${cnonce}:${qop}:${hash(algorithm, a2)}`);
}

/** Compares two hashes of one algorithm, in constant time. */
export const sameHash = (given: string, expected: string): boolean =>
  given.length === expected.length && timingSafeEqual(Buffer.from(given), Buffer.from(expected));

/** The field `Authentication-Info` (section 3.5), from a parsed exchange: nothing in it can end a quoted-string. */
export function formatAuthenticationInfo({ qop, nc, cnonce }: DigestParameters, rspauth: string, nextnonce?: string): string {
  const next = nextnonce === undefined ? '' : `, nextnonce="${nextnonce}"`;
  return `rspauth="${rspauth}", qop=${qop}, nc=${nc}, cnonce="${cnonce}"${next}`;
}
