import { Injectable, NotFoundException } from '@nestjs/common';
import { importJWK, type JWK } from 'jose';
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
import { oidcProviders, type Provider } from './oidc-login.config.js';
import { boundedFetch } from './oidc-login.fetch.js';

const AN_HOUR = 60 * 60_000;
/** A provider that is down is not asked again for every request that comes meanwhile. */
const AFTER_A_FAILURE = 10_000;
const TIMEOUT_SECONDS = 5;

interface Discovered {
  readonly configuration: Promise<Configuration>;
  until: number;
}

/** The providers, each with what it says of itself (OpenID Connect Discovery 1.0), which is asked once an hour. */
@Injectable()
export class Providers {
  private readonly providers = new Map<string, Provider>();
  private readonly discovered = new Map<string, Discovered>();

  constructor(private readonly settings: Settings) {
    for (const provider of oidcProviders(settings)) this.add(provider);
  }

  /** One more, for an application that keeps its providers elsewhere; of the same id, in place of the one before. */
  add(provider: Provider): void {
    this.providers.set(provider.id, provider);
    this.discovered.delete(provider.id);
  }

  get all(): readonly Provider[] {
    return [...this.providers.values()];
  }

  /** @throws NotFoundException `unknown_provider` */
  find(id: string): Provider {
    const provider = this.providers.get(id);
    if (!provider)
      throw new NotFoundException({
        code: 'unknown_provider',
        detail: 'No provider of that name is configured here: GET /auth/oidc lists them.',
      });
    return provider;
  }

  /** Where a provider sends the browser back to, to be registered there word for word. */
  redirectUri({ id }: Provider): string {
    return `${this.settings.publicUrl}/auth/oidc/${id}/callback`;
  }

  /** @throws whatever discovery ends in; what is known is kept, and so is for a while that nothing could be known */
  configurationOf(provider: Provider): Promise<Configuration> {
    const known = this.discovered.get(provider.id);
    if (known && known.until > Date.now()) return known.configuration;
    const asked: Discovered = { configuration: discover(provider), until: Date.now() + AN_HOUR };
    asked.configuration.catch(() => (asked.until = Date.now() + AFTER_A_FAILURE));
    this.discovered.set(provider.id, asked);
    return asked.configuration;
  }
}

async function discover(provider: Provider): Promise<Configuration> {
  const issuer = new URL(provider.issuer);
  return discovery(issuer, provider.clientId, {}, await authenticationOf(provider), {
    timeout: TIMEOUT_SECONDS,
    [customFetch]: boundedFetch,
    execute: [
      // The library leaves the ID token's signature to TLS, as it may; here it is verified all the same.
      enableNonRepudiationChecks,
      // The configuration refuses such an issuer in production.
      ...(issuer.protocol === 'http:' ? [allowInsecureRequests] : []),
    ],
  });
}

async function authenticationOf({ clientAuth, clientSecret }: Provider): Promise<ClientAuth> {
  if (clientAuth === 'client_secret_post') return ClientSecretPost(clientSecret);
  if (clientAuth === 'client_secret_basic') return ClientSecretBasic(clientSecret);
  const jwk = JSON.parse(clientSecret) as JWK;
  const key = await importJWK(jwk);
  if (key instanceof Uint8Array) throw new Error('A private key is needed.');
  return PrivateKeyJwt(jwk.kid ? { key, kid: jwk.kid } : key);
}
