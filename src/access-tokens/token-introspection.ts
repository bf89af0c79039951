import { LRUCache } from 'lru-cache';
import { createHash } from 'node:crypto';
import { RemoteFailure, fetchJson } from './fetch-json.js';

/** What is said of a token holds for a second: that long it works on after it was revoked, and no longer. */
const REMEMBERED_MS = 1_000;
const MOST_REMEMBERED = 1_000;
const MOST_AT_ONCE = 50;

export interface IntrospectionEndpoint {
  readonly endpoint: string;
  readonly client_id: string;
  readonly client_secret: string;
}

/** What an issuer says of an opaque token, as the resource server that it knows by these credentials (RFC 7662). */
export class Introspection {
  private readonly answers = new LRUCache<string, Promise<Readonly<Record<string, unknown>> | undefined>>({
    max: MOST_REMEMBERED,
    ttl: REMEMBERED_MS,
  });
  private asking = 0;
  private readonly authorization: string;

  constructor(private readonly at: IntrospectionEndpoint) {
    const credentials = [at.client_id, at.client_secret].map(formEncoded).join(':');
    this.authorization = `Basic ${Buffer.from(credentials).toString('base64')}`;
  }

  /**
   * @returns undefined for a token that is not active
   * @throws RemoteFailure where that cannot be known
   */
  ask(token: string): Promise<Readonly<Record<string, unknown>> | undefined> {
    const digest = createHash('sha256').update(token).digest('base64url');
    let answer = this.answers.get(digest);
    // Kept before it is there: the second counts from the question, and all who ask meanwhile share it.
    if (!answer) this.answers.set(digest, (answer = this.fetch(token)));
    return answer;
  }

  private async fetch(token: string): Promise<Readonly<Record<string, unknown>> | undefined> {
    if (this.asking >= MOST_AT_ONCE) throw new RemoteFailure('too many questions under way');
    this.asking++;
    try {
      const { status, mediaType, body } = await fetchJson(this.at.endpoint, {
        method: 'POST',
        headers: { Authorization: this.authorization, Accept: 'application/json' },
        body: new URLSearchParams({ token, token_type_hint: 'access_token' }),
      });
      // A signed answer (RFC 9701) is a JWT, which could be taken for an access token: it is not asked for, and not read.
      if (status !== 200 || mediaType !== 'application/json' || typeof body !== 'object' || !body)
        throw new RemoteFailure(`${this.at.endpoint} answered ${status}, ${mediaType}`);
      const said = body as Readonly<Record<string, unknown>>;
      return said['active'] === true ? said : undefined;
    } finally {
      this.asking--;
    }
  }
}

/** RFC 6749, section 2.3.1: each of the two is form-encoded before they are joined. */
const formEncoded = (text: string) => new URLSearchParams({ '': text }).toString().slice(1);
