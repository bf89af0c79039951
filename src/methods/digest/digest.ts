/**
 * HTTP Digest (RFC 7616). On the wire:
 *
 *     GET /me HTTP/1.1
 *
 *     HTTP/1.1 401 Unauthorized
 *     WWW-Authenticate: Digest realm="auth-atlas", qop="auth", algorithm=SHA-256, nonce="d1…",
 *         charset=UTF-8, userhash=true
 *
 *     GET /me HTTP/1.1
 *     Authorization: Digest username="bob", realm="auth-atlas", nonce="d1…", uri="/me", algorithm=SHA-256,
 *         qop=auth, nc=00000001, cnonce="f2…", response="75…"
 *
 *     HTTP/1.1 200 OK
 *     Authentication-Info: rspauth="6f…", qop=auth, nc=00000001, cnonce="f2…"
 *
 * The response is a hash of the password, the nonce and the request. The password is never sent, and a response is valid for
 * one request only. `rspauth` proves that the server knows the password as well.
 */
import { createHash } from 'node:crypto';

export type DigestAlgorithm = 'SHA-256' | 'SHA-512-256' | 'MD5';
export type Qop = 'auth' | 'auth-int';

/** The OpenSSL name, and the length of the hash in hexadecimal digits. */
const HASHES: Readonly<Record<DigestAlgorithm, readonly [name: string, digits: number]>> = {
  'SHA-256': ['sha256', 64],
  'SHA-512-256': ['sha512-256', 64],
  MD5: ['md5', 32],
};

export const isAlgorithm = (text: string): text is DigestAlgorithm => Object.hasOwn(HASHES, text);
export const hashLength = (algorithm: DigestAlgorithm): number => HASHES[algorithm][1];

/** H of RFC 7616 section 3.3: lower-case hexadecimal. Text is UTF-8. */
const hash = (algorithm: DigestAlgorithm, data: string | Uint8Array): string =>
  createHash(HASHES[algorithm][0]).update(data).digest('hex');

/** Joins parts in normal form C (section 4). Only the last one may contain a colon. */
const joined = (...parts: readonly string[]): string => parts.map((part) => part.normalize('NFC')).join(':');

/**
 * H(A1) of section 3.4.2. It is enough to authenticate, like the password. Another spelling of the username gives another hash.
 */
export const computeHa1 = (
  algorithm: DigestAlgorithm,
  username: string,
  realm: string,
  password: string,
): string => hash(algorithm, joined(username, realm, password));

/** The hash that hides the username on the wire (section 3.4.4). */
export const computeUserhash = (algorithm: DigestAlgorithm, username: string, realm: string): string =>
  hash(algorithm, joined(username, realm));

/** The parameters of one response, known to client and server. */
export interface DigestParameters {
  readonly algorithm: DigestAlgorithm;
  readonly nonce: string;
  /** The request target. */
  readonly uri: string;
  readonly qop: Qop;
  /** The number of uses of this nonce, including this one: eight hexadecimal digits. */
  readonly nc: string;
  readonly cnonce: string;
}

/**
 * The client's `response` (section 3.4.1), or with an empty method the server's `rspauth` (section 3.5).
 * @param body of the request or the response; only `auth-int` covers it
 */
export function computeResponse(
  ha1: string,
  parameters: DigestParameters,
  method: string,
  body: Uint8Array,
): string {
  const { algorithm, nonce, uri, qop, nc, cnonce } = parameters;
  const a2 = `${method}:${uri}${qop === 'auth-int' ? `:${hash(algorithm, body)}` : ''}`;
  return hash(algorithm, `${ha1}:${nonce}:${nc}:${cnonce}:${qop}:${hash(algorithm, a2)}`);
}

/** The `Authentication-Info` header (section 3.5). Parsed parameters contain nothing that ends a quoted-string. */
export function formatAuthenticationInfo(
  { qop, nc, cnonce }: DigestParameters,
  rspauth: string,
  nextnonce?: string,
): string {
  const next = nextnonce === undefined ? '' : `, nextnonce="${nextnonce}"`;
  return `rspauth="${rspauth}", qop=${qop}, nc=${nc}, cnonce="${cnonce}"${next}`;
}
