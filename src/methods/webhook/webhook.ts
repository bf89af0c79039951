/**
 * Standard Webhooks 1.0.0 (https://www.standardwebhooks.com), with symmetric signatures. On the wire
 *
 *     POST /webhooks/src_9f2c… HTTP/1.1
 *     webhook-id: msg_2KWPBgLlAfxdpx2AI54pPJ85f4W
 *     webhook-timestamp: 1674087231
 *     webhook-signature: v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4= v1,…
 *
 *     {"type":"contact.created","timestamp":"2022-11-03T20:26:10.344522Z","data":{"id":"1f81eb52"}}
 *
 * A signature is the base64 of HMAC-SHA256 over `<id>.<timestamp>.<body>`. During a rotation there are two, and one
 * that fits is enough. A message keeps its id when it is sent again; the timestamp is that of the attempt.
 *
 * The standard signs neither method nor path, since a message has one address only. A request to any other route is
 * therefore signed under an id that names it, which no message has: `req_<nonce>_<SHA-256 of "GET /me">`, in hexadecimal.
 */
import { createHash, createHmac, createSecretKey, randomBytes, timingSafeEqual } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

/** How far an attempt's clock may be from ours, either way. */
export const TOLERANCE_SECONDS = 5 * 60;
/** Two while a sender changes its secret; a few more for versions that are not known here. */
const MAX_SIGNATURES = 10;

const PREFIX = 'whsec_';
/** Visible ASCII without the full stop, which ends the id in what is signed. */
const ID = /^[!-\-/-~]{1,256}$/;
/** Seconds since 1970, written in one way only. */
const SECONDS = /^[1-9]\d{0,9}$/;
const REQUEST_ID = /^req_[\da-f]{32}_([\da-f]{64})$/;

/** One attempt to deliver a message: what is signed. */
export interface DeliveryAttempt {
  readonly id: string;
  /** Seconds since 1970. */
  readonly timestamp: number;
  readonly body: Uint8Array;
}

export const newSecret = () => PREFIX + randomBytes(32).toString('base64');
export const newMessageId = () => `msg_${randomBytes(16).toString('hex')}`;

/** The key in a secret, or undefined where it is not `whsec_` and the base64 of 24 to 64 bytes. */
export function parseSecret(secret: string): KeyObject | undefined {
  const text = secret.startsWith(PREFIX) ? secret.slice(PREFIX.length) : '';
  const bytes = Buffer.from(text, 'base64');
  const fits = bytes.length >= 24 && bytes.length <= 64 && bytes.toString('base64') === text;
  return fits ? createSecretKey(bytes) : undefined;
}

export const sign = (key: KeyObject, { id, timestamp, body }: DeliveryAttempt): string =>
  `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest('base64')}`;

/**
 * The three fields of an attempt, or undefined where one is absent or could be read in two ways.
 * @param fields `webhook-id`, `webhook-timestamp` and `webhook-signature`
 */
export function parseHeaders(
  ...[id = '', timestamp = '', signature = '']: readonly (string | undefined)[]
): { id: string; timestamp: number; signatures: string[] } | undefined {
  const signatures = signature.split(' ', MAX_SIGNATURES + 1);
  if (!ID.test(id) || !SECONDS.test(timestamp) || signatures.length > MAX_SIGNATURES) return undefined;
  return { id, timestamp: Number(timestamp), signatures };
}

export const isCurrent = (timestamp: number, now = Date.now()): boolean =>
  Math.abs(Math.floor(now / 1000) - timestamp) <= TOLERANCE_SECONDS;

/**
 * Whether one of the signatures is one of the keys'. All are compared as text and in constant time, so base64 that is
 * written in another way, or that stands behind another version than `v1`, is no signature.
 */
export function isSignedBy(
  keys: readonly KeyObject[],
  attempt: DeliveryAttempt,
  signatures: readonly string[],
): boolean {
  const given = signatures.map((signature) => Buffer.from(signature));
  return keys
    .map((key) => Buffer.from(sign(key, attempt)))
    .flatMap((good) => given.map((each) => each.length === good.length && timingSafeEqual(each, good)))
    .includes(true);
}

const digestOf = (method: string, target: string) =>
  createHash('sha256').update(`${method} ${target}`).digest('hex');

/** @param target path and query, as in the request's first line */
export const newRequestId = (method: string, target: string) =>
  `req_${randomBytes(16).toString('hex')}_${digestOf(method, target)}`;

/** Whether an id names this request; undefined where it names none, as a message's does. */
export function isRequestIdFor(id: string, method: string, target: string): boolean | undefined {
  const [, digest] = REQUEST_ID.exec(id) ?? [];
  return digest === undefined ? undefined : digest === digestOf(method, target);
}
