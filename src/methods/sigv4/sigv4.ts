/**
 * AWS Signature Version 4. On the wire, in a header,
 *
 *     GET /demo/sigv4 HTTP/1.1
 *     Host: localhost:3000
 *     X-Amz-Date: 20260807T101500Z
 *     Authorization: AWS4-HMAC-SHA256 Credential=ATLA…/20260807/atlas-1/auth-atlas/aws4_request,
 *       SignedHeaders=host;x-amz-date, Signature=38fac9…
 *
 * or in a presigned URL, valid for X-Amz-Expires seconds:
 *
 *     GET /demo/sigv4?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=ATLA…%2F20260807%2Fatlas-1%2Fauth-atlas%2Faws4_request
 *       &X-Amz-Date=20260807T101500Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=38fac9… HTTP/1.1
 *
 * Client and server convert the request to one canonical form. The signature is the HMAC of that form. A chain of
 * HMACs derives its key from the secret for one day, region and service.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */
import { hash, createHmac, randomBytes, randomInt } from 'node:crypto';

export const ALGORITHM = 'AWS4-HMAC-SHA256';
export const TERMINATOR = 'aws4_request';

/** The scope of a signing key. */
export interface CredentialScope {
  /** `20260807`, in UTC. */
  readonly day: string;
  readonly region: string;
  readonly service: string;
}

/** A decoded query parameter. */
export type QueryParameter = readonly [name: string, value: string];

/** The parts of a request that the signature covers. */
export interface RequestToSign {
  readonly method: string;
  /** As sent: percent-encoded and not normalized. */
  readonly path: string;
  /** All parameters except `X-Amz-Signature`. */
  readonly query: readonly QueryParameter[];
  /** The signed headers in alphabetical order, with lower-case names and the values of all lines. */
  readonly headers: readonly (readonly [name: string, values: readonly string[]])[];
  /** SHA-256 of the body, hexadecimal. */
  readonly payloadHash: string;
}

export const sha256 = (data: string | Uint8Array): string => hash('sha256', data, 'hex');

/** Encodes every byte as `%XX` except unreserved characters (RFC 3986 section 2.3). */
const percentEncode = (text: string) =>
  encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

const compareText = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

/** Sorted by encoded name, then by encoded value. */
export const canonicalQuery = (query: readonly QueryParameter[]): string =>
  query
    .map(([name, value]): QueryParameter => [percentEncode(name), percentEncode(value)])
    .sort(([name, value], [otherName, other]) => compareText(name, otherName) || compareText(value, other))
    .map(([name, value]) => `${name}=${value}`)
    .join('&');

const canonicalValue = (value: string) => value.replace(/[ \t]+/g, ' ').replace(/^ | $/g, '');

/** The path is encoded a second time, as for every AWS service except S3: `/a%20b` is signed as `/a%2520b`. */
export const canonicalRequest = ({ method, path, query, headers, payloadHash }: RequestToSign): string =>
  [
    method,
    path.split('/').map(percentEncode).join('/'),
    canonicalQuery(query),
    ...headers.map(([name, values]) => `${name}:${values.map(canonicalValue).join(',')}`),
    '',
    headers.map(([name]) => name).join(';'),
    payloadHash,
  ].join('\n');

export const formatCredentialScope = ({ day, region, service }: CredentialScope): string =>
  [day, region, service, TERMINATOR].join('/');

/** @param time `20260807T101500Z` */
export const stringToSign = (time: string, scope: CredentialScope, canonical: string): string =>
  [ALGORITHM, time, formatCredentialScope(scope), sha256(canonical)].join('\n');

const hmacSha256 = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest();

export const signingKey = (secret: string, { day, region, service }: CredentialScope): Buffer =>
  [day, region, service, TERMINATOR].reduce<Buffer>(hmacSha256, Buffer.from(`AWS4${secret}`));

/** @returns 64 lower-case hexadecimal digits */
export const sign = (secret: string, scope: CredentialScope, toSign: string): string =>
  hmacSha256(signingKey(secret, scope), toSign).toString('hex');

/** `20260807T101500Z` */
export const formatTime = (date: Date): string => date.toISOString().replace(/[-:]|\.\d{3}/g, '');

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** The form of an AWS access key id, with a prefix of its own for secret scanners. */
export const newKeyId = (): string =>
  `ATLA${Array.from({ length: 16 }, () => ALPHABET[randomInt(ALPHABET.length)]).join('')}`;

/** 240 random bits: 40 characters of base64. */
export const newSecret = (): string => randomBytes(30).toString('base64');
