import { ALGORITHM, TERMINATOR, type QueryParameter } from './sigv4.js';
import type { CredentialScope } from './sigv4.js';

/** What a request says of its signature, wherever it says it. */
export interface SigV4Parameters {
  readonly keyId: string;
  readonly scope: CredentialScope;
  /** As it was signed, `20260807T101500Z`. */
  readonly time: string;
  readonly signedAt: Date;
  /** Seconds from `at` on; of a presigned URL only. */
  readonly lifetimeSeconds?: number;
  /** In lower case and in order, each once. */
  readonly signedHeaders: readonly string[];
  /** 64 hexadecimal digits, in lower case. */
  readonly signature: string;
}

/** The longest that a presigned URL may be good, as with AWS: a week. */
const MAX_LIFETIME_SECONDS = 7 * 86_400;
/** No route takes so many, and what is after the thousandth the routes do not read. */
const MAX_QUERY_PARAMETERS = 100;

const SCHEME = /^AWS4-HMAC-SHA256(?=[\s,]|$)/i;
const HEADER = /^ +Credential=([^,\s]+), *SignedHeaders=([^,\s]+), *Signature=([^,\s]+)$/;
const CREDENTIAL = /^([A-Z2-7]{20})\/(\d{8})\/([\w-]+)\/([\w-]+)\/([\w-]+)$/;
const PRESIGNED = /[?&]X-Amz-(?:Algorithm|Credential|Signature)=/i;
const TIME = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/;

/** Is this SigV4, well-formed or not? The scheme's name has no case (RFC 9110, section 11.1). */
export const hasSigV4Scheme = (authorization: string): boolean => SCHEME.test(authorization);

/** Does the URL say that it was signed? */
export const isPresigned = (target: string): boolean => PRESIGNED.test(target);

/** What stands in the Authorization field, with the time that stands in `X-Amz-Date`; undefined where any of it is malformed. */
export function parseHeader(authorization: string, time: string | undefined): SigV4Parameters | undefined {
  const [, credential, signedHeaders, signature] = HEADER.exec(authorization.replace(SCHEME, '')) ?? [];
  return toParameters({ credential, signedHeaders, signature, time });
}

/** What stands in the query of a presigned URL; undefined where any of it is malformed. */
export function parsePresigned(query: readonly QueryParameter[]): SigV4Parameters | undefined {
  const of = (name: string) => queryParameter(query, name);
  const expires = of('X-Amz-Expires') ?? '';
  const lifetime = /^[1-9]\d{0,5}$/.test(expires) ? Number(expires) : Infinity;
  if (of('X-Amz-Algorithm') !== ALGORITHM || lifetime > MAX_LIFETIME_SECONDS) return undefined;
  const claim = toParameters({
    credential: of('X-Amz-Credential'),
    signedHeaders: of('X-Amz-SignedHeaders'),
    signature: of('X-Amz-Signature'),
    time: of('X-Amz-Date'),
  });
  return claim && { ...claim, lifetimeSeconds: lifetime };
}

/** Signers move headers into the query, so these names have no case. */
export const hasName =
  (name: string) =>
  ([each]: QueryParameter): boolean =>
    each.toLowerCase() === name.toLowerCase();

export const queryParameter = (query: readonly QueryParameter[], name: string): string | undefined =>
  query.find(hasName(name))?.[1];

/**
 * The parameters of a target's query, read as the routes read them: `+` is a space. Undefined where there are more than
 * a hundred, or some are not UTF-8.
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

/** The canonical form sorts what one name has several times, so the signature does not say in which order that came. */
export const hasDuplicateName = (query: readonly QueryParameter[]): boolean =>
  new Set(query.map(([name]) => (/^x-amz-/i.test(name) ? name.toLowerCase() : name))).size < query.length;

/** `/documents?limit=2` in its two parts. */
export function splitTarget(target: string): { path: string; query: string } {
  const [path = '', ...query] = target.split('?');
  return { path, query: query.join('?') };
}

function toParameters(parts: {
  readonly credential: string | undefined;
  readonly signedHeaders: string | undefined;
  readonly signature: string | undefined;
  readonly time: string | undefined;
}): SigV4Parameters | undefined {
  const { signature = '', time = '' } = parts;
  const [, keyId, day, region, service, terminator] = CREDENTIAL.exec(parts.credential ?? '') ?? [];
  const signedHeaders = (parts.signedHeaders ?? '').split(';');
  const at = parseTime(time);
  const wellFormed =
    /^[0-9a-f]{64}$/.test(signature) &&
    signedHeaders.every(
      (name, i) => name === name.toLowerCase() && (i === 0 || signedHeaders[i - 1]! < name),
    );
  if (!keyId || !day || !region || !service || terminator !== TERMINATOR || !at || !wellFormed)
    return undefined;
  return { keyId, scope: { day, region, service }, time, signedAt: at, signedHeaders, signature };
}

/** A moment that is in the calendar: not the 30th of February. */
function parseTime(time: string): Date | undefined {
  const iso = time.replace(TIME, '$1-$2-$3T$4:$5:$6.000Z');
  const moment = new Date(iso);
  return iso !== time && !Number.isNaN(moment.getTime()) && moment.toISOString() === iso ? moment : undefined;
}
