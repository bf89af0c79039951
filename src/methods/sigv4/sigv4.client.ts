import { randomUUID } from 'node:crypto';
import { REGION, SERVICE } from './sigv4.config.js';
import { parseQuery } from './sigv4.parser.js';
import {
  ALGORITHM,
  canonicalQuery,
  canonicalRequest,
  formatCredentialScope,
  sha256,
  sign,
  stringToSign,
  formatTime,
  type CredentialScope,
  type RequestToSign,
  type QueryParameter,
} from './sigv4.js';

/** An access key. */
export interface SigV4Credentials {
  readonly id: string;
  readonly secret: string;
}

const scopeAt = (time: string): CredentialScope => ({
  day: time.slice(0, 8),
  region: REGION,
  service: SERVICE,
});

const signWith = ({ secret }: SigV4Credentials, time: string, request: RequestToSign) =>
  sign(secret, scopeAt(time), stringToSign(time, scopeAt(time), canonicalRequest(request)));

const parametersOf = (url: URL): QueryParameter[] => parseQuery(url.search.slice(1)) ?? [];

/**
 * Signs a request and all its current headers: `fetch(await withSigV4(key)(new Request(url)))`. Like the AWS SDKs, it adds an
 * invocation id, so that two equal requests of the same second have different signatures.
 */
export const withSigV4 =
  (key: SigV4Credentials) =>
  async (request: Request): Promise<Request> => {
    const url = new URL(request.url);
    const time = formatTime(new Date());
    const payloadHash = sha256(new Uint8Array(await request.clone().arrayBuffer()));
    request.headers.set('X-Amz-Date', time);
    request.headers.set('X-Amz-Content-Sha256', payloadHash);
    request.headers.set('Amz-Sdk-Invocation-Id', randomUUID());
    const headers = [['host', url.host] as const, ...request.headers]
      .map(([name, value]) => [name, [value]] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1));
    const signature = signWith(key, time, {
      method: request.method,
      path: url.pathname,
      query: parametersOf(url),
      headers,
      payloadHash,
    });
    const signedHeaders = headers.map(([name]) => name).join(';');
    request.headers.set(
      'Authorization',
      `${ALGORITHM} Credential=${key.id}/${formatCredentialScope(scopeAt(time))}, SignedHeaders=${signedHeaders}, Signature=${signature}`,
    );
    return request;
  };

/** A URL that makes one request without a body in the name of the key's owner. Anyone who has the URL can use it. */
export function presign(
  key: SigV4Credentials,
  address: string,
  { method = 'GET', expiresIn = 300 }: { method?: string; expiresIn?: number } = {},
): string {
  const url = new URL(address);
  const time = formatTime(new Date());
  const query: QueryParameter[] = [
    ...parametersOf(url),
    ['X-Amz-Algorithm', ALGORITHM],
    ['X-Amz-Credential', `${key.id}/${formatCredentialScope(scopeAt(time))}`],
    ['X-Amz-Date', time],
    ['X-Amz-Expires', String(expiresIn)],
    ['X-Amz-SignedHeaders', 'host'],
  ];
  const signature = signWith(key, time, {
    method,
    path: url.pathname,
    query,
    headers: [['host', [url.host]]],
    payloadHash: sha256(''),
  });
  return `${url.origin}${url.pathname}?${canonicalQuery(query)}&X-Amz-Signature=${signature}`;
}
