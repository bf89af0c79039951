/**
 * Standard Webhooks 1.0.0 (https://www.standardwebhooks.com) with symmetric signatures. On the wire:
 *
 *     POST /webhooks/src_9f2c… HTTP/1.1
 *     webhook-id: msg_2KWPBgLlAfxdpx2AI54pPJ85f4W
 *     webhook-timestamp: 1674087231
 *     webhook-signature: v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4= v1,…
 *
 *     {"type":"contact.created","timestamp":"2022-11-03T20:26:10.344522Z","data":{"id":"1f81eb52"}}
 *
 * A signature is the base64 of HMAC-SHA256 over `<id>.<timestamp>.<body>`. During a rotation the header contains two
 * signatures, and one valid signature is enough. A retry has the same id and a new timestamp.
 *
 * The standard signs neither method nor path, because messages have one address. This project accepts signed requests to other
 * routes too. Their id names the request: `req_<nonce>_<SHA-256 of "GET /me">`, in hexadecimal.
 */
import { hash, createHmac, createSecretKey, randomBytes, type KeyObject } from 'node:crypto';
import { constantTimeEqual } from '../../crypto/constant-time.js';

/** The accepted clock skew of the sender. */
export const TOLERANCE_SECONDS = 5 * 60;
/** A rotation needs two signatures. The rest is for unknown versions. */
const MAX_SIGNATURES = 10;
/** The longest known signature, Ed25519 in base64 (`v1a`), has 92. */
const MAX_SIGNATURE_CHARACTERS = 128;

const PREFIX = 'whsec_';
/** Visible ASCII except the full stop, which ends the id in the signed content. */
const ID = /^[!-\-/-~]{1,256}$/;
/** Seconds since 1970, in one spelling. */
const SECONDS = /^[1-9]\d{0,9}$/;
const REQUEST_ID = /^req_[\da-f]{32}_([\da-f]{64})$/;

/** One attempt to deliver a message: the signed content. */
export interface DeliveryAttempt {
  readonly id: string;
  /** Seconds since 1970. */
  readonly timestamp: number;
  readonly body: Uint8Array;
}

export const newSecret = () => PREFIX + randomBytes(32).toString('base64');
export const newMessageId = () => `msg_${randomBytes(16).toString('hex')}`;

/** @returns undefined if the secret is not `whsec_` and the base64 of 24 to 64 bytes */
export function parseSecret(secret: string): KeyObject | undefined {
  const text = secret.startsWith(PREFIX) ? secret.slice(PREFIX.length) : '';
  const bytes = Buffer.from(text, 'base64');
  const isValid = bytes.length >= 24 && bytes.length <= 64 && bytes.toString('base64') === text;
  return isValid ? createSecretKey(bytes) : undefined;
}

export const sign = (key: KeyObject, { id, timestamp, body }: DeliveryAttempt): string =>
  `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest('base64')}`;

/**
 * Parses the headers `webhook-id`, `webhook-timestamp` and `webhook-signature`.
 * @returns undefined if one of them is absent or malformed
 */
export function parseHeaders(
  ...[id = '', timestamp = '', signature = '']: readonly (string | undefined)[]
): { id: string; timestamp: number; signatures: string[] } | undefined {
  const signatures = signature.split(' ', MAX_SIGNATURES + 1);
  if (!ID.test(id) || !SECONDS.test(timestamp) || signatures.length > MAX_SIGNATURES) return undefined;
  if (signatures.some(({ length }) => length > MAX_SIGNATURE_CHARACTERS)) return undefined;
  return { id, timestamp: Number(timestamp), signatures };
}

export const isWithinTolerance = (timestamp: number, now = Date.now()): boolean =>
  Math.abs(Math.floor(now / 1000) - timestamp) <= TOLERANCE_SECONDS;

/**
 * Whether one of the signatures belongs to one of the keys. They are compared as text in constant time. This rejects
 * another spelling of the base64, and versions other than `v1`.
 */
export function isSignedBy(
  keys: readonly KeyObject[],
  attempt: DeliveryAttempt,
  signatures: readonly string[],
): boolean {
  return keys
    .map((key) => sign(key, attempt))
    .flatMap((expected) => signatures.map((signature) => constantTimeEqual(signature, expected)))
    .includes(true);
}

const requestDigest = (method: string, target: string) => hash('sha256', `${method} ${target}`, 'hex');

/** @param target path and query, as in the request line */
export const newRequestId = (method: string, target: string) =>
  `req_${randomBytes(16).toString('hex')}_${requestDigest(method, target)}`;

/** Whether the id names this request; undefined for the id of a message. */
export function isRequestIdFor(id: string, method: string, target: string): boolean | undefined {
  const [, digest] = REQUEST_ID.exec(id) ?? [];
  return digest === undefined ? undefined : digest === requestDigest(method, target);
}
