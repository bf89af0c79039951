import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { RemoteFailure, fetchJson } from './fetch-json.js';

/** What a key must be, for each algorithm that is ever taken: asymmetric ones (RFC 7518, RFC 8037). */
const KEYS = {
  RS256: { kty: 'RSA' },
  RS384: { kty: 'RSA' },
  RS512: { kty: 'RSA' },
  PS256: { kty: 'RSA' },
  PS384: { kty: 'RSA' },
  PS512: { kty: 'RSA' },
  ES256: { kty: 'EC', crv: 'P-256' },
  ES384: { kty: 'EC', crv: 'P-384' },
  ES512: { kty: 'EC', crv: 'P-521' },
  EdDSA: { kty: 'OKP', crv: 'Ed25519' },
} as const satisfies Record<string, { readonly kty: string; readonly crv?: string }>;

export type Algorithm = keyof typeof KEYS;
export const ALGORITHMS = Object.keys(KEYS) as [Algorithm, ...Algorithm[]];

const MOST_KEYS = 100;
const WEAKEST_RSA = 2048;
/** After so long the keys are fetched anew, while the old ones are still used. */
const FRESH_MS = 5 * 60_000;
/** For so long keys are used whose issuer cannot be asked. */
const STALE_MS = 60 * 60_000;
/** No sooner is it asked again, whatever comes: anybody can write a `kid` that is not there. */
const COOL_DOWN_MS = 10_000;

/** The public keys of an issuer (RFC 7517), as it publishes them. */
export class KeySet {
  private keys = new Map<string, KeyObject>();
  private fetchedAt = -Infinity;
  private triedAt = -Infinity;
  private fetching: Promise<void> | undefined;

  /**
   * @param whereabouts finds out where they are
   * @param failed is told why they could not be fetched: until they are too old, nobody else notices
   * @param now milliseconds
   */
  constructor(
    private readonly whereabouts: () => Promise<string>,
    private readonly failed: (reason: string) => void,
    private readonly now = Date.now,
  ) {}

  /**
   * The key of this id, if it is one for this algorithm. An unknown id may be that of a new key, so the issuer is asked again,
   * by one request for all that wait, and not more often than every ten seconds.
   *
   * @throws RemoteFailure where there are no keys, or too old ones, and no others are to be had
   */
  async find(kid: string, algorithm: Algorithm): Promise<KeyObject | undefined> {
    if (this.age > STALE_MS) {
      await this.refresh();
      if (this.age > STALE_MS) throw new RemoteFailure('there are no keys that are young enough');
    } else if (this.age > FRESH_MS) this.refresh().catch(() => {});
    const name = `${algorithm} ${kid}`;
    if (!this.keys.has(name)) await this.refresh().catch(() => {});
    return this.keys.get(name);
  }

  private get age(): number {
    return this.now() - this.fetchedAt;
  }

  private async refresh(): Promise<void> {
    if (!this.fetching) {
      if (this.now() - this.triedAt < COOL_DOWN_MS) return;
      this.triedAt = this.now();
      this.fetching = this.fetch()
        .catch((error: unknown) => {
          this.failed(String(error));
          throw error;
        })
        .finally(() => (this.fetching = undefined));
    }
    return this.fetching;
  }

  private async fetch(): Promise<void> {
    const { status, body } = await fetchJson(await this.whereabouts(), {
      headers: { Accept: 'application/jwk-set+json, application/json' },
    });
    const { keys } = (body ?? {}) as { keys?: unknown };
    if (status !== 200 || !Array.isArray(keys) || keys.length > MOST_KEYS)
      throw new RemoteFailure('that is no key set, or one with too many keys');
    // Of two keys with one id, the first.
    this.keys = new Map(keys.flatMap(usable).toReversed());
    this.fetchedAt = this.now();
  }
}

/** A published key under each algorithm that it is for; none where it is of another kind, too weak, or for something else. */
function usable(published: unknown): [string, KeyObject][] {
  const jwk = (published ?? {}) as Record<string, unknown>;
  const { kid, kty, crv, use, alg, key_ops: operations } = jwk;
  if (typeof kid !== 'string' || (use !== undefined && use !== 'sig')) return [];
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) return [];
  const fitting = ALGORITHMS.filter((name) => {
    const wanted: { kty: string; crv?: string } = KEYS[name];
    return wanted.kty === kty && wanted.crv === (kty === 'RSA' ? undefined : crv) && (alg ?? name) === name;
  });
  const key = fitting.length ? publicKeyOf(jwk) : undefined;
  return key ? fitting.map((name) => [`${name} ${kid}`, key]) : [];
}

function publicKeyOf(jwk: object): KeyObject | undefined {
  try {
    const key = createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' });
    const bits = key.asymmetricKeyDetails?.modulusLength;
    return bits !== undefined && bits < WEAKEST_RSA ? undefined : key;
  } catch {
    return undefined;
  }
}
