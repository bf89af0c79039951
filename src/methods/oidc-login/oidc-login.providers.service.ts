import { Inject, Injectable, NotFoundException } from '@nestjs/common';
import type { ConfigType } from '@nestjs/config';
import {
  createRemoteJWKSet,
  customFetch as joseFetch,
  importJWK,
  type JWK,
  type JWTVerifyGetKey,
} from 'jose';
import {
  ClientSecretBasic,
  ClientSecretPost,
  PrivateKeyJwt,
  allowInsecureRequests,
  customFetch,
  discovery,
  enableNonRepudiationChecks,
  type ClientAuth,
  type Configuration,
} from 'openid-client';
import { Settings } from '../../config/settings.js';
import { importStrongJwk } from '../../crypto/public-keys.js';
import { oidcLoginConfig, type OidcProvider } from './oidc-login.config.js';
import { providerError } from './oidc-login.errors.js';

const METADATA_LIFETIME_MS = 60 * 60_000;
/** The pause after a failed metadata request, so that not every sign-in requests it again. */
const RETRY_AFTER_FAILURE_MS = 10_000;
const TIMEOUT_SECONDS = 5;
const MAX_RESPONSE_BYTES = 256 * 1024;

interface CachedMetadata {
  readonly provider: Promise<DiscoveredProvider>;
  expires: number;
}

/** The configured providers and their metadata (OpenID Connect Discovery 1.0), which is cached for an hour. */
@Injectable()
export class OidcProviders {
  private readonly providers = new Map<string, OidcProvider>();
  private readonly metadata = new Map<string, CachedMetadata>();

  constructor(
    private readonly settings: Settings,
    @Inject(oidcLoginConfig.KEY) configured: ConfigType<typeof oidcLoginConfig>,
  ) {
    for (const provider of configured) this.add(provider);
  }

  /** Adds a provider, or replaces the one with the same id. For applications that store their providers elsewhere. */
  add(provider: OidcProvider): void {
    this.providers.set(provider.id, provider);
    this.metadata.delete(provider.id);
  }

  get all(): readonly OidcProvider[] {
    return [...this.providers.values()];
  }

  /** @throws NotFoundException `unknown_provider` */
  find(id: string): OidcProvider {
    const provider = this.providers.get(id);
    if (!provider)
      throw new NotFoundException({
        code: 'unknown_provider',
        detail: 'No provider with this id is configured. GET /auth/oidc lists the providers.',
      });
    return provider;
  }

  /** The redirect URI, to be registered at the provider exactly like this. */
  redirectUri({ id }: OidcProvider): string {
    return `${this.settings.publicUrl}/auth/oidc/${id}/callback`;
  }

  /** @throws HttpException `provider_unavailable`, `provider_error` */
  async discover(provider: OidcProvider): Promise<DiscoveredProvider> {
    try {
      return await this.cachedMetadata(provider);
    } catch (error) {
      throw providerError(error, provider);
    }
  }

  /** Failures are cached too, for a shorter time. */
  private cachedMetadata(provider: OidcProvider): Promise<DiscoveredProvider> {
    const cached = this.metadata.get(provider.id);
    if (cached && cached.expires > Date.now()) return cached.provider;
    const fresh: CachedMetadata = {
      provider: fetchMetadata(provider),
      expires: Date.now() + METADATA_LIFETIME_MS,
    };
    fresh.provider.catch(() => (fresh.expires = Date.now() + RETRY_AFTER_FAILURE_MS));
    this.metadata.set(provider.id, fresh);
    return fresh.provider;
  }
}

/** A provider's metadata and, once needed, its keys. */
export class DiscoveredProvider {
  private keySet: JWTVerifyGetKey | undefined;

  constructor(readonly configuration: Configuration) {}

  /** The keys that sign logout tokens. `openid-client` keeps its own for ID tokens and does not expose them. */
  get keys(): JWTVerifyGetKey {
    this.keySet ??= this.createKeySet();
    return this.keySet;
  }

  private createKeySet(): JWTVerifyGetKey {
    const { issuer, jwks_uri: jwksUri = '' } = this.configuration.serverMetadata();
    if (issuer.startsWith('https:') && !jwksUri.startsWith('https:'))
      throw new Error('jwks_uri must be an https URL');
    return createRemoteJWKSet(new URL(jwksUri), {
      timeoutDuration: TIMEOUT_SECONDS * 1000,
      cooldownDuration: 60_000,
      cacheMaxAge: 300_000,
      [joseFetch]: boundedFetch,
    });
  }
}

async function fetchMetadata(provider: OidcProvider): Promise<DiscoveredProvider> {
  const issuer = new URL(provider.issuer);
  const configuration = await discovery(issuer, provider.clientId, {}, await clientAuthOf(provider), {
    timeout: TIMEOUT_SECONDS,
    [customFetch]: boundedFetch,
    execute: [
      // By default the library relies on TLS and does not verify the ID token's signature.
      enableNonRepudiationChecks,
      // The configuration rejects http issuers in production.
      ...(issuer.protocol === 'http:' ? [allowInsecureRequests] : []),
    ],
  });
  return new DiscoveredProvider(configuration);
}

async function clientAuthOf({ clientAuth, clientSecret }: OidcProvider): Promise<ClientAuth> {
  if (clientAuth === 'client_secret_post') return ClientSecretPost(clientSecret);
  if (clientAuth === 'client_secret_basic') return ClientSecretBasic(clientSecret);
  const jwk = JSON.parse(clientSecret) as JWK;
  const key = await importJWK(jwk);
  if (key instanceof Uint8Array) throw new Error('private_key_jwt needs a private key');
  return PrivateKeyJwt(jwk.kid ? { key, kid: jwk.kid } : key);
}

/** Follows no redirect, which could lead into the internal network, and limits the size. The libraries limit the time. */
async function boundedFetch(url: string, options: object): Promise<Response> {
  const { body, status, headers } = await fetch(url, { ...options, redirect: 'manual' });
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body ?? []) {
    size += chunk.length;
    if (size > MAX_RESPONSE_BYTES) throw new Error(`the response exceeds ${MAX_RESPONSE_BYTES} bytes`);
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString();
  return new Response(size ? withoutWeakKeys(text) : null, { status, headers });
}

/** Removes the weak keys of a key set, because the libraries accept RSA exponents of 1 and points of small order. */
function withoutWeakKeys(body: string): string {
  try {
    const { keys, ...others } = JSON.parse(body) as { keys?: unknown };
    return Array.isArray(keys) ? JSON.stringify({ ...others, keys: keys.filter(importStrongJwk) }) : body;
  } catch {
    return body;
  }
}
