/**
 * Requests signed with HMAC-SHA256 (RFC 2104), in a scheme of our own. On the wire:
 *
 *     POST /documents HTTP/1.1
 *     Host: api.example.com
 *     Content-Type: application/json
 *     Authorization: HMAC-SHA256 id="Zk3…", timestamp="1767225600", nonce="9fQ…", headers="content-type", signature="5be1…"
 *
 *     {"title":"a draft"}
 *
 * The signature is the HMAC, in lower-case hexadecimal, of these lines, each ended by a line feed:
 *
 *     HMAC-SHA256
 *     https://api.example.com          audience: the public URL of the server that is meant
 *     Zk3…                             id of the key
 *     1767225600                       timestamp: seconds since 1970
 *     9fQ…                             nonce: never used before with this key
 *     POST                             method
 *     api.example.com                  the Host field, as it is sent
 *     /documents                       path and query, see canonicalTarget
 *     42f6…                            SHA-256 of the body's bytes; no body is an empty one
 *     content-type:application/json    one line for each name in `headers`, in that order
 *
 * No part can hold a line feed (RFC 9110, section 5.5), so two requests that differ in anything never share a text.
 */
import { createHash, createHmac, randomBytes, timingSafeEqual, type BinaryLike } from 'node:crypto';

const SCHEME = 'HMAC-SHA256';
/** One spelling and no other: what two readers could read differently is not read. */
const PARAMETERS =
  /^ id="([\w-]{16})", timestamp="(\d{10})", nonce="([\w-]{16,64})", headers="((?:[a-z\d-]{1,64}(?: [a-z\d-]{1,64}){0,15})?)", signature="([\da-f]{64})"$/;

/** Fields that say how the rest is meant: where one is sent, it must be signed. */
export const MUST_BE_SIGNED = ['content-type', 'if-match'] as const;

/** What the Authorization field holds. */
export interface Authorization {
  readonly id: string;
  /** Seconds since 1970, ten digits. */
  readonly timestamp: string;
  readonly nonce: string;
  /** The names of the signed fields, in lower case. */
  readonly headers: readonly string[];
  /** Lower-case hexadecimal. */
  readonly signature: string;
}

/** What a signature covers. */
export interface Signed extends Pick<Authorization, 'id' | 'timestamp' | 'nonce'> {
  readonly audience: string;
  readonly method: string;
  readonly authority: string;
  readonly target: string;
  readonly body?: Uint8Array | undefined;
  /** The signed fields with their values, in the order of `headers`. */
  readonly fields: readonly (readonly [name: string, value: string])[];
}

export const newKeyId = () => randomBytes(12).toString('base64url');

/** 256 random bits, under a prefix by which a secret scanner knows them. The whole text is the HMAC's key. */
export const newSecret = () => `atlas_hmac_${randomBytes(32).toString('base64url')}`;

/** Is this our scheme, well-formed or not? Its name has no case (RFC 9110, section 11.1). */
export const speaksHmac = (authorization: string): boolean => /^hmac-sha256(?:[\s,]|$)/i.test(authorization);

/** Undefined where the field's value is not exactly of the form above. */
export function parseAuthorization(value: string): Authorization | undefined {
  if (!speaksHmac(value)) return undefined;
  const [, id, timestamp, nonce, headers, signature] = PARAMETERS.exec(value.slice(SCHEME.length)) ?? [];
  if (!id || !timestamp || !nonce || !signature) return undefined;
  return { id, timestamp, nonce, headers: headers ? headers.split(' ') : [], signature };
}

export const formatAuthorization = ({ id, timestamp, nonce, headers, signature }: Authorization): string =>
  `${SCHEME} id="${id}", timestamp="${timestamp}", nonce="${nonce}", headers="${headers.join(' ')}", signature="${signature}"`;

/** The lines that are signed. Their characters are bytes (Latin-1), as in the header of a request. */
export function textOf(signed: Signed): string {
  return [
    SCHEME,
    signed.audience,
    signed.id,
    signed.timestamp,
    signed.nonce,
    signed.method,
    signed.authority,
    canonicalTarget(signed.target),
    createHash('sha256')
      .update(signed.body ?? '')
      .digest('hex'),
    ...signed.fields.map(([name, value]) => `${name}:${value}`),
    '',
  ].join('\n');
}

/**
 * A request target, with its query in one of the ways that it can be spelt: unreserved characters (RFC 3986, section
 * 2.3) as they are, all others percent-encoded in upper case. `&`, `=` and `+` stay what they were, encoded or not,
 * because readers differ on them, and parameters stay where they were. The path stays as it is, and so does a query
 * with a percent sign that encodes nothing.
 */
export function canonicalTarget(target: string): string {
  const start = target.indexOf('?') + 1;
  const query = target.slice(start);
  if (!start || /%(?![\da-f]{2})/i.test(query)) return target;
  return target.slice(0, start) + query.replace(/%..|[^\w.~&=+\x80-\uffff-]/g, spell);
}

function spell(part: string): string {
  if (part.length === 1) return `%${part.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
  const character = String.fromCharCode(parseInt(part.slice(1), 16));
  return /[\w.~-]/.test(character) ? character : part.toUpperCase();
}

/** The signature of a text: lower-case hexadecimal. */
export const macOf = (secret: BinaryLike, text: string): string =>
  createHmac('sha256', secret).update(text, 'latin1').digest('hex');

/** Compares in constant time. Lengths are no secret, and `timingSafeEqual` throws where they differ. */
export function sameMac(given: string, right: string): boolean {
  const [a, b] = [Buffer.from(given, 'latin1'), Buffer.from(right, 'latin1')];
  return a.length === b.length && timingSafeEqual(a, b);
}
