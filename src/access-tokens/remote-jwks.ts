import type { KeyObject } from 'node:crypto';
import { importStrongJwk } from '../crypto/public-keys.js';
import { RemoteError, fetchJson } from './fetch-json.js';

/** The accepted algorithms, all asymmetric, and the keys that each requires (RFC 7518, RFC 8037). */
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

export type JwsAlgorithm = keyof typeof KEYS;
export const ALGORITHMS = Object.keys(KEYS) as [JwsAlgorithm, ...JwsAlgorithm[]];

const MAX_KEYS = 100;
/** Older keys are still used while a refresh runs in the background. */
const REFRESH_AFTER_MS = 5 * 60_000;
/** Older keys are not used at all. */
const MAX_AGE_MS = 60 * 60_000;
/** The shortest time between two requests. Anyone can send an unknown `kid`, and must not cause a request each time. */
const COOLDOWN_MS = 10_000;

/** The JSON Web Key Set (RFC 7517) that an issuer publishes. */
export class RemoteJwks {
  private keys = new Map<string, KeyObject>();
  private fetchedAt = -Infinity;
  private triedAt = -Infinity;
  private fetching: Promise<void> | undefined;

  /**
   * @param jwksUri returns the URL of the key set
   * @param onError receives the reason of each failed request, also while the cached keys are still used
   * @param now milliseconds
   */
  constructor(
    private readonly jwksUri: () => Promise<string>,
    private readonly onError: (reason: string) => void,
    private readonly now = Date.now,
  ) {}

  /**
   * Finds a key by its id and algorithm. An unknown id may be a new key, so the key set is fetched again. Callers
   * share the request, and there is at most one in ten seconds.
   *
   * @throws RemoteError if no key set of the last hour is available
   */
  async find(kid: string, algorithm: JwsAlgorithm): Promise<KeyObject | undefined> {
    if (this.age > MAX_AGE_MS) {
      await this.refresh();
      if (this.age > MAX_AGE_MS) throw new RemoteError('the key set is too old');
    } else if (this.age > REFRESH_AFTER_MS) this.refresh().catch(() => {});
    const name = `${algorithm} ${kid}`;
    if (!this.keys.has(name)) await this.refresh().catch(() => {});
    return this.keys.get(name);
  }

  private get age(): number {
    return this.now() - this.fetchedAt;
  }

  private async refresh(): Promise<void> {
    if (!this.fetching) {
      if (this.now() - this.triedAt < COOLDOWN_MS) return;
      this.triedAt = this.now();
      this.fetching = this.fetch()
        .catch((error: unknown) => {
          this.onError(String(error));
          throw error;
        })
        .finally(() => (this.fetching = undefined));
    }
    return this.fetching;
  }

  private async fetch(): Promise<void> {
    const { status, body } = await fetchJson(await this.jwksUri(), {
      headers: { Accept: 'application/jwk-set+json, application/json' },
    });
    const { keys } = (body ?? {}) as { keys?: unknown };
    if (status !== 200 || !Array.isArray(keys)) throw new RemoteError('the response is not a key set');
    if (keys.length > MAX_KEYS) throw new RemoteError(`the key set has more than ${MAX_KEYS} keys`);
    // If two keys have the same id, the first one is used.
    this.keys = new Map(keys.flatMap(signingKeys).toReversed());
    this.fetchedAt = this.now();
  }
}

/**
 * Finds an issuer's `jwks_uri` in its metadata: OpenID Connect Discovery 1.0 section 4, then RFC 8414 section 3.
 * The two differ only in the URL.
 *
 * @param httpsOnly whether the key set must be at an https URL
 * @throws RemoteError if there is no metadata, or it belongs to another issuer
 */
export async function discoverJwksUri(issuer: string, httpsOnly: boolean): Promise<string> {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/, '');
  const metadataUrls = [
    `${origin}${path}/.well-known/openid-configuration`,
    `${origin}/.well-known/oauth-authorization-server${path}`,
  ];
  for (const url of metadataUrls) {
    const { status, body } = await fetchJson(url, { headers: { Accept: 'application/json' } });
    if (status === 404) continue;
    const { issuer: name, jwks_uri: jwksUri } = (body ?? {}) as { issuer?: unknown; jwks_uri?: unknown };
    // Metadata that names another issuer could make this API accept that issuer's keys (RFC 8414 section 6.2).
    if (status !== 200 || name !== issuer || typeof jwksUri !== 'string' || !URL.canParse(jwksUri)) break;
    if (httpsOnly && new URL(jwksUri).protocol !== 'https:') break;
    return jwksUri;
  }
  throw new RemoteError(`${issuer} has no valid metadata with a jwks_uri`);
}

/** A JWK under each algorithm that it may be used for; empty if its type, size or use does not fit. */
function signingKeys(published: unknown): [string, KeyObject][] {
  const jwk = (published ?? {}) as Record<string, unknown>;
  const { kid, kty, crv, use, alg, key_ops: operations } = jwk;
  if (typeof kid !== 'string') return [];
  if (use !== undefined && use !== 'sig') return [];
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) return [];
  const algorithms = ALGORITHMS.filter((name) => {
    const required: { kty: string; crv?: string } = KEYS[name];
    return (
      required.kty === kty && required.crv === (kty === 'RSA' ? undefined : crv) && (alg ?? name) === name
    );
  });
  const key = algorithms.length ? importStrongJwk(jwk) : undefined;
  return key ? algorithms.map((name) => [`${name} ${kid}`, key]) : [];
}
