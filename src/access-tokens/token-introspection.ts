import { LRUCache } from 'lru-cache';
import { hash } from 'node:crypto';
import { RemoteError, fetchJson } from './fetch-json.js';

/** A revoked token still works for at most this long. */
const CACHE_TTL_MS = 1_000;
const MAX_CACHED_RESPONSES = 1_000;
const MAX_CONCURRENT_REQUESTS = 50;

export interface IntrospectionEndpoint {
  readonly endpoint: string;
  readonly client_id: string;
  readonly client_secret: string;
}

export type IntrospectionResponse = Readonly<Record<string, unknown>>;

/** Sends opaque tokens to an issuer's introspection endpoint (RFC 7662), authenticated as a resource server. */
export class IntrospectionClient {
  private readonly responses = new LRUCache<string, Promise<IntrospectionResponse | undefined>>({
    max: MAX_CACHED_RESPONSES,
    ttl: CACHE_TTL_MS,
  });
  private concurrentRequests = 0;
  private readonly authorization: string;

  constructor(private readonly options: IntrospectionEndpoint) {
    const credentials = [options.client_id, options.client_secret].map(formEncoded).join(':');
    this.authorization = `Basic ${Buffer.from(credentials).toString('base64')}`;
  }

  /**
   * @returns undefined if the token is not active
   * @throws RemoteError
   */
  introspect(token: string): Promise<IntrospectionResponse | undefined> {
    const digest = hash('sha256', token, 'base64url');
    let response = this.responses.get(digest);
    // Caches the promise: concurrent callers share one request, and the cache time starts with it.
    if (!response) this.responses.set(digest, (response = this.request(token)));
    return response;
  }

  private async request(token: string): Promise<IntrospectionResponse | undefined> {
    if (this.concurrentRequests >= MAX_CONCURRENT_REQUESTS)
      throw new RemoteError('too many concurrent introspection requests');
    this.concurrentRequests++;
    try {
      const { status, mediaType, body } = await fetchJson(this.options.endpoint, {
        method: 'POST',
        headers: { Authorization: this.authorization, Accept: 'application/json' },
        body: new URLSearchParams({ token, token_type_hint: 'access_token' }),
      });
      // A signed response (RFC 9701) is a JWT that could be confused with an access token. It is never accepted.
      if (status !== 200 || mediaType !== 'application/json' || typeof body !== 'object' || !body)
        throw new RemoteError(`${this.options.endpoint} responded ${status}, ${mediaType}`);
      const response = body as IntrospectionResponse;
      return response['active'] === true ? response : undefined;
    } finally {
      this.concurrentRequests--;
    }
  }
}

/** Client id and secret are form-encoded before they are joined (RFC 6749 section 2.3.1). */
const formEncoded = (text: string) => new URLSearchParams({ '': text }).toString().slice(1);
