import type { AuthRequest } from '../../authentication/request.js';
import { REGION, SERVICE } from './sigv4.config.js';
import { ALGORITHM, TERMINATOR, type CredentialScope, type QueryParameter } from './sigv4.js';

/** The parameters of a signature, from the Authorization header or a presigned URL. */
export interface SigV4Parameters {
  readonly keyId: string;
  readonly scope: CredentialScope;
  /** As signed: `20260807T101500Z`. */
  readonly time: string;
  readonly signedAt: Date;
  /** Of a presigned URL only. */
  readonly lifetimeSeconds?: number;
  /** Unique names in lower case, in alphabetical order. */
  readonly signedHeaders: readonly string[];
  /** 64 hexadecimal digits, in lower case. */
  readonly signature: string;
}

/** The accepted clock skew, and the lifetime of a signature in a header. */
const MAX_CLOCK_SKEW_MS = 5 * 60_000;
/** A presigned URL is valid for at most a week, as on AWS. */
const MAX_LIFETIME_SECONDS = 7 * 86_400;
const MAX_QUERY_PARAMETERS = 100;
/** All common signers sign fewer headers. */
const MAX_SIGNED_HEADERS = 32;
/** These headers change the meaning of a request, so they must be signed when they are sent. All common signers do so. */
const SIGNED_IF_PRESENT = ['content-type', 'if-match'];

const SCHEME = /^AWS4-HMAC-SHA256(?=[\s,]|$)/i;
const HEADER = /^ +Credential=([^,\s]+), *SignedHeaders=([^,\s]+), *Signature=([^,\s]+)$/;
const CREDENTIAL = /^([A-Z2-7]{20})\/(\d{8})\/([\w-]+)\/([\w-]+)\/([\w-]+)$/;
const PRESIGNED = /[?&]X-Amz-(?:Algorithm|Credential|Signature)=/i;
const TIME = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/;

/** Scheme names are case-insensitive (RFC 9110 section 11.1). The parameters may be malformed. */
export const hasSigV4Scheme = (authorization: string): boolean => SCHEME.test(authorization);

/** Whether the query contains a signature. It may be malformed. */
export const isPresigned = (target: string): boolean => PRESIGNED.test(target);

/**
 * Parses the Authorization header.
 * @param time the `X-Amz-Date` header
 * @returns undefined if one of them is malformed
 */
export function parseHeader(authorization: string, time: string | undefined): SigV4Parameters | undefined {
  const [, credential, signedHeaders, signature] = HEADER.exec(authorization.replace(SCHEME, '')) ?? [];
  return toParameters({ credential, signedHeaders, signature, time });
}

/**
 * Parses the query of a presigned URL.
 * @returns undefined if a parameter is malformed
 */
export function parsePresigned(query: readonly QueryParameter[]): SigV4Parameters | undefined {
  const get = (name: string) => queryParameter(query, name);
  const expires = get('X-Amz-Expires') ?? '';
  const lifetimeSeconds = /^[1-9]\d{0,5}$/.test(expires) ? Number(expires) : Infinity;
  if (get('X-Amz-Algorithm') !== ALGORITHM || lifetimeSeconds > MAX_LIFETIME_SECONDS) return undefined;
  const parameters = toParameters({
    credential: get('X-Amz-Credential'),
    signedHeaders: get('X-Amz-SignedHeaders'),
    signature: get('X-Amz-Signature'),
    time: get('X-Amz-Date'),
  });
  return parameters && { ...parameters, lifetimeSeconds };
}

/** From this time on, the signature is rejected. */
export const expiryOf = ({ signedAt, lifetimeSeconds }: SigV4Parameters): Date =>
  new Date(signedAt.getTime() + (lifetimeSeconds === undefined ? MAX_CLOCK_SKEW_MS : lifetimeSeconds * 1000));

/** @returns why well-formed parameters are rejected, for the log; undefined if they are accepted */
export function findFault(
  parameters: SigV4Parameters,
  request: AuthRequest,
  query: readonly QueryParameter[],
  payloadHash: string,
  now: Date,
): string | undefined {
  const { scope, time, signedAt, signedHeaders } = parameters;
  if (scope.region !== REGION || scope.service !== SERVICE) return 'another region or service';
  if (!time.startsWith(scope.day)) return 'the date is not the day of the credential scope';
  if (signedAt.getTime() > now.getTime() + MAX_CLOCK_SKEW_MS) return 'signed in the future';
  if (expiryOf(parameters) <= now) return 'the signature has expired';

  const signed = new Set(signedHeaders);
  if (!signed.has('host')) return 'the host is not signed';
  const mustBeSigned = (name: string) => name.startsWith('x-amz-') || SIGNED_IF_PRESENT.includes(name);
  if (Object.keys(request.headers).some((name) => mustBeSigned(name) && !signed.has(name)))
    return 'a header that must be signed is not';
  if (signedHeaders.some((name) => !request.lines(name).length)) return 'a signed header is absent';

  const get = (name: string) => request.header(name) ?? queryParameter(query, name);
  // This server issues no session tokens.
  if (get('X-Amz-Security-Token') !== undefined) return 'unexpected session token';
  // This also rejects UNSIGNED-PAYLOAD and the streaming forms.
  if ((get('X-Amz-Content-Sha256') ?? payloadHash) !== payloadHash) return 'wrong hash of the body';
  return undefined;
}

/** Signers move headers into the query, so these parameter names are case-insensitive. */
export const hasName =
  (name: string) =>
  ([each]: QueryParameter): boolean =>
    each.toLowerCase() === name.toLowerCase();

/**
 * Parses the query of a request target as the routes do: `+` is a space.
 * @returns undefined for more than 100 parameters or invalid UTF-8
 */
export function parseQuery(query: string): QueryParameter[] | undefined {
  const parts = query.split('&').filter((part) => part !== '');
  if (parts.length > MAX_QUERY_PARAMETERS) return undefined;
  try {
    return parts.map((part): QueryParameter => {
      const [name = '', ...value] = part.replaceAll('+', ' ').split('=');
      return [decodeURIComponent(name), decodeURIComponent(value.join('='))];
    });
  } catch {
    return undefined;
  }
}

/** The canonical form sorts the values of a repeated name, so the signature does not cover their order. */
export const hasDuplicateName = (query: readonly QueryParameter[]): boolean =>
  new Set(query.map(([name]) => (/^x-amz-/i.test(name) ? name.toLowerCase() : name))).size < query.length;

/** Splits `/documents?limit=2` into path and query. */
export function splitTarget(target: string): { path: string; query: string } {
  const [path = '', ...query] = target.split('?');
  return { path, query: query.join('?') };
}

const queryParameter = (query: readonly QueryParameter[], name: string): string | undefined =>
  query.find(hasName(name))?.[1];

function toParameters(parts: {
  readonly credential: string | undefined;
  readonly signedHeaders: string | undefined;
  readonly signature: string | undefined;
  readonly time: string | undefined;
}): SigV4Parameters | undefined {
  const { signature = '', time = '' } = parts;
  const [, keyId, day, region, service, terminator] = CREDENTIAL.exec(parts.credential ?? '') ?? [];
  const signedHeaders = (parts.signedHeaders ?? '').split(';', MAX_SIGNED_HEADERS + 1);
  const signedAt = parseTime(time);
  const isSorted = signedHeaders.every(
    (name, i) => name === name.toLowerCase() && (i === 0 || signedHeaders[i - 1]! < name),
  );
  if (!keyId || !day || !region || !service || terminator !== TERMINATOR) return undefined;
  if (signedHeaders.length > MAX_SIGNED_HEADERS) return undefined;
  if (!signedAt || !isSorted || !/^[0-9a-f]{64}$/.test(signature)) return undefined;
  return { keyId, scope: { day, region, service }, time, signedAt, signedHeaders, signature };
}

/** @returns undefined for a time outside the calendar, such as 30 February */
function parseTime(time: string): Date | undefined {
  const iso = time.replace(TIME, '$1-$2-$3T$4:$5:$6.000Z');
  const date = new Date(iso);
  return iso !== time && !Number.isNaN(date.getTime()) && date.toISOString() === iso ? date : undefined;
}
