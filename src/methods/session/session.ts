/**
 * A session: a browser is given a random text in a cookie, and sends it back by itself.
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
 * The text is 256 random bits and says nothing; all that there is to know is kept by the server, under its SHA-256.
 * What the browser sends by itself, it also sends when another site asks it to. So whatever changes something needs two
 * things more: the browser's own word on which site asks, and a token that only a page of this site can have read.
 */
import { createHash, createHmac, randomBytes, type KeyObject } from 'node:crypto';

const MINUTE = 60_000;
export const IDLE_MS = 30 * MINUTE;
export const ABSOLUTE_MS = 12 * 60 * MINUTE;

const FORM = /^[\w-]{43}$/;

export const hashOf = (value: string) => createHash('sha256').update(value).digest('hex');

/** A new session: `value` goes into the cookie, `hash` is what is kept. */
export function mintSession(): { value: string; hash: string } {
  const value = randomBytes(32).toString('base64url');
  return { value, hash: hashOf(value) };
}

/** Whether a text could be one that {@link mintSession} made. */
export const isSession = (value: string): boolean => FORM.test(value);

/**
 * The cookie of an origin. Browsers accept the prefix `__Host-` only with Secure, with Path=/ and without Domain, so no
 * sub-domain and no plain HTTP can put one in its place (RFC 6265bis, section 4.1.3.2). Over plain HTTP they would not
 * keep it, so there the name is another.
 */
export class SessionCookie {
  readonly name: string;
  private readonly attributes: string;

  constructor(publicUrl: string) {
    const secure = publicUrl.startsWith('https:');
    this.name = secure ? '__Host-session' : 'session-dev';
    this.attributes = `Path=/; HttpOnly; SameSite=Lax${secure ? '; Secure' : ''}`;
  }

  /** The field that sets it. It has no Max-Age: it goes when the browser is closed. */
  set = (value: string) => `${this.name}=${value}; ${this.attributes}`;

  /** The field that takes it away. */
  clear = () => `${this.name}=; ${this.attributes}; Max-Age=0`;

  /**
   * All its values in a Cookie field. More than one means that somebody put one there.
   *
   * Only blanks stand between pairs, and a name has one spelling: what a browser takes for another name (with a
   * no-break space, in capitals), it sets without the rules of the prefix.
   */
  read(field: string | undefined): string[] {
    if (!field?.includes(this.name)) return [];
    const start = `${this.name}=`;
    return field
      .split(';')
      .map((pair) => pair.replace(/^[ \t]+/, ''))
      .flatMap((pair) => (pair.startsWith(start) ? [pair.slice(start.length)] : []));
  }
}

/** The token of a session: it stays the same as long as the session, and nobody can make it without the key. */
export const csrfToken = (key: KeyObject, sessionId: string): string =>
  createHmac('sha256', key).update(sessionId).digest('base64url');

/** Methods that change nothing (RFC 9110, section 9.2.1), so that it does no harm if another site asks for them. */
export const isSafe = (method: string): boolean => ['GET', 'HEAD', 'OPTIONS'].includes(method);
