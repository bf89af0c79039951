/**
 * A session: the server gives a browser a random value in a cookie, and the browser returns it with every request.
 *
 *     HTTP/1.1 200 OK
 *     Set-Cookie: __Host-session=q3Jx…43 characters…; Path=/; HttpOnly; SameSite=Lax; Secure
 *
 *     POST /documents HTTP/1.1
 *     Cookie: __Host-session=q3Jx…
 *     Origin: https://api.example.com
 *     Sec-Fetch-Site: same-origin
 *     X-CSRF-Token: Zk9f…
 *
 * The value is 256 random bits. The server stores its SHA-256 and the data of the session. A browser also sends the
 * cookie when another site makes the request, so a write needs two things more: `Sec-Fetch-Site` or `Origin`, which the
 * browser sets, and a token that only a page of this origin can read.
 */
import { hash, createHmac, randomBytes, type KeyObject } from 'node:crypto';

const MINUTE_MS = 60_000;
/** NIST SP 800-63B-4 section 2.2.3 allows at most one hour and 24 hours. */
export const IDLE_TIMEOUT_MS = 30 * MINUTE_MS;
export const ABSOLUTE_TIMEOUT_MS = 12 * 60 * MINUTE_MS;

const SESSION_VALUE = /^[\w-]{43}$/;

/** SHA-256, hexadecimal. */
export const hashSessionValue = (value: string) => hash('sha256', value, 'hex');

/** A new session: `value` for the cookie, `hash` for the database. */
export function newSessionValue(): { value: string; hash: string } {
  const value = randomBytes(32).toString('base64url');
  return { value, hash: hashSessionValue(value) };
}

/** Whether a text has the form of a value from {@link newSessionValue}. */
export const isSessionValue = (value: string): boolean => SESSION_VALUE.test(value);

/** The CSRF token of a session: an HMAC of its id, so it needs no storage. */
export const csrfToken = (key: KeyObject, sessionId: string): string =>
  createHmac('sha256', key).update(sessionId).digest('base64url');

/** Methods that change nothing (RFC 9110 section 9.2.1) and need no CSRF token. */
export const isSafeMethod = (method: string): boolean => ['GET', 'HEAD', 'OPTIONS'].includes(method);
