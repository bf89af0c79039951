/**
 * Requests signed with HMAC-SHA256 (RFC 2104), in a scheme of this project. On the wire:
 *
 *     POST /documents HTTP/1.1
 *     Host: api.example.com
 *     Content-Type: application/json
 *     Authorization: HMAC-SHA256 id="Zk3…", timestamp="1767225600", nonce="9fQ…", headers="content-type", signature="5be1…"
 *
 *     {"title":"a draft"}
 *
 * The signature is the HMAC, in lower-case hexadecimal, of these lines. A line feed ends each of them:
 *
 *     HMAC-SHA256
 *     https://api.example.com          audience: the public URL of the server
 *     Zk3…                             id of the key
 *     1767225600                       timestamp: seconds since 1970
 *     9fQ…                             nonce: used once per key
 *     POST                             method
 *     api.example.com                  the Host header as sent
 *     /documents                       path and query, see canonicalTarget
 *     42f6…                            SHA-256 of the body; a missing body counts as an empty one
 *     content-type:application/json    one line for each name in `headers`, in that order
 *
 * No part can contain a line feed (RFC 9110 section 5.5), so two different requests never have the same text.
 */
import { createHash, createHmac, randomBytes, type BinaryLike } from 'node:crypto';

const SCHEME = 'HMAC-SHA256';
/** Exactly one spelling is accepted, so no two parsers read a header differently. */
const PARAMETERS =
  /^ id="([\w-]{16})", timestamp="(\d{10})", nonce="([\w-]{16,64})", headers="((?:[a-z\d-]{1,64}(?: [a-z\d-]{1,64}){0,15})?)", signature="([\da-f]{64})"$/;

/** These headers change the meaning of a request, so they must be signed when they are sent. */
export const SIGNED_IF_PRESENT = ['content-type', 'if-match'] as const;

/** The parsed `Authorization` header. */
export interface HmacAuthorization {
  readonly id: string;
  /** Seconds since 1970, ten digits. */
  readonly timestamp: string;
  readonly nonce: string;
  /** The names of the signed headers, in lower case. */
  readonly headers: readonly string[];
  /** Lower-case hexadecimal. */
  readonly signature: string;
}

/** The parts of a request that the signature covers. */
export interface SignedRequest extends Pick<HmacAuthorization, 'id' | 'timestamp' | 'nonce'> {
  readonly audience: string;
  readonly method: string;
  readonly authority: string;
  readonly target: string;
  readonly body?: Uint8Array | undefined;
  /** The signed headers with their values, in the order of `headers`. */
  readonly fields: readonly (readonly [name: string, value: string])[];
}

export const newKeyId = () => randomBytes(12).toString('base64url');

/** 256 random bits with a prefix for secret scanners. The whole text is the HMAC key. */
export const newSecret = () => `atlas_hmac_${randomBytes(32).toString('base64url')}`;

/** Scheme names are case-insensitive (RFC 9110 section 11.1). The parameters may be malformed. */
export const hasHmacScheme = (authorization: string): boolean =>
  /^hmac-sha256(?:[\s,]|$)/i.test(authorization);

/** @returns undefined if the value does not have exactly the form above */
export function parseAuthorization(value: string): HmacAuthorization | undefined {
  if (!hasHmacScheme(value)) return undefined;
  const [, id, timestamp, nonce, headers, signature] = PARAMETERS.exec(value.slice(SCHEME.length)) ?? [];
  if (!id || !timestamp || !nonce || !signature) return undefined;
  return { id, timestamp, nonce, headers: headers ? headers.split(' ') : [], signature };
}

export const formatAuthorization = ({
  id,
  timestamp,
  nonce,
  headers,
  signature,
}: HmacAuthorization): string =>
  `${SCHEME} id="${id}", timestamp="${timestamp}", nonce="${nonce}", headers="${headers.join(' ')}", signature="${signature}"`;

/** The lines that are signed. Each character is one byte (Latin-1), as in a request's headers. */
export function stringToSign(request: SignedRequest): string {
  return [
    SCHEME,
    request.audience,
    request.id,
    request.timestamp,
    request.nonce,
    request.method,
    request.authority,
    canonicalTarget(request.target),
    createHash('sha256')
      .update(request.body ?? '')
      .digest('hex'),
    ...request.fields.map(([name, value]) => `${name}:${value}`),
    '',
  ].join('\n');
}

/**
 * A request target whose query has one spelling: unreserved characters (RFC 3986 section 2.3) are literal, all others are
 * percent-encoded in upper case. `&`, `=` and `+` stay as sent, encoded or not, because programs read them differently.
 * The path, the order of parameters, and a query with an invalid percent sign also stay as sent.
 */
export function canonicalTarget(target: string): string {
  const start = target.indexOf('?') + 1;
  const query = target.slice(start);
  if (!start || /%(?![\da-f]{2})/i.test(query)) return target;
  return target.slice(0, start) + query.replace(/%..|[^\w.~&=+\x80-\uffff-]/g, canonicalCharacter);
}

function canonicalCharacter(part: string): string {
  if (part.length === 1) return `%${part.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
  const character = String.fromCharCode(parseInt(part.slice(1), 16));
  return /[\w.~-]/.test(character) ? character : part.toUpperCase();
}

/** @returns lower-case hexadecimal */
export const sign = (secret: BinaryLike, text: string): string =>
  createHmac('sha256', secret).update(text, 'latin1').digest('hex');
