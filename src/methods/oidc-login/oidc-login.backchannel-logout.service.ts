import { BadRequestException, Injectable } from '@nestjs/common';
import {
  createRemoteJWKSet,
  customFetch,
  errors,
  jwtVerify,
  type JWTPayload,
  type JWTVerifyGetKey,
} from 'jose';
import type { Configuration } from 'openid-client';
import { DataSource } from 'typeorm';
import { ReplayStore } from '../../crypto/replay-store.service.js';
import { endAllSignIns } from '../../users/end-sign-ins.js';
import type { Provider } from './oidc-login.config.js';
import { Exchange } from './oidc-login.code-flow.service.js';
import { boundedFetch } from './oidc-login.fetch.js';
import { failureOf } from './oidc-login.errors.js';
import { Identities } from './oidc-login.linked-identities.service.js';
import { AuditPort } from '../../authentication/ports.js';

const EVENT = 'http://schemas.openid.net/event/backchannel-logout';
/** How old a message may be, in seconds, and how far the clocks may be apart. */
const MOST_AGE = 120;
const TOLERANCE = 30;

/** What `jose` says where the keys cannot be had: no fault of the message. */
const ITS_FAULT = /^ERR_(?:JOSE_GENERIC|JWKS_TIMEOUT|JWKS_INVALID)$/;

/** A provider's own word that somebody is to be signed out (OpenID Connect Back-Channel Logout 1.0). */
@Injectable()
export class ProviderLogout {
  private readonly keys = new WeakMap<Configuration, JWTVerifyGetKey>();

  constructor(
    private readonly exchange: Exchange,
    private readonly identities: Identities,
    private readonly oneTime: ReplayStore,
    private readonly dataSource: DataSource,
    private readonly audit: AuditPort,
  ) {}

  /**
   * Ends all sign-ins of the account that the message is about, whichever way it was signed in. Somebody whom no account knows
   * is signed out already.
   *
   * @throws BadRequestException `invalid_logout_token`
   */
  async end(provider: Provider, token: string): Promise<void> {
    const { iss, sub, jti } = await this.claimsOf(provider, token);
    const until = new Date(Date.now() + (MOST_AGE + 2 * TOLERANCE) * 1000);
    if (!(await this.oneTime.use(`oidc-login logout of ${provider.id}`, jti, until))) throw invalid();
    const found = await this.identities.find({ iss, sub });
    if (!found || found.user.tenantId !== provider.tenant) return;
    await this.dataSource.transaction(async (manager) => {
      await endAllSignIns(manager, found.user.id);
      await this.audit.append(manager, {
        event: 'authn_token_revoked',
        actor: found.user,
        method: 'oidc-login',
        target: `user:${found.user.id}`,
        details: { everywhere: true, provider: provider.id },
      });
    });
  }

  private async claimsOf(provider: Provider, token: string) {
    const configuration = await this.exchange.configurationOf(provider);
    const { issuer, id_token_signing_alg_values_supported: announced = ['RS256'] } =
      configuration.serverMetadata();
    try {
      const { payload } = await jwtVerify(token, this.keysOf(configuration), {
        issuer,
        audience: provider.clientId,
        // Never one whose key is the client's secret.
        algorithms: announced.filter((algorithm) => /^(?:RS|PS|ES|Ed)/.test(algorithm)),
        maxTokenAge: MOST_AGE,
        clockTolerance: TOLERANCE,
      });
      return logoutOf(payload);
    } catch (error) {
      if (error instanceof BadRequestException) throw error;
      if (error instanceof errors.JOSEError && !ITS_FAULT.test(error.code)) throw invalid();
      throw failureOf(error, provider);
    }
  }

  private keysOf(configuration: Configuration): JWTVerifyGetKey {
    let keys = this.keys.get(configuration);
    if (!keys) {
      const { issuer, jwks_uri: uri = '' } = configuration.serverMetadata();
      if (issuer.startsWith('https:') && !uri.startsWith('https:'))
        throw new Error('its keys are not at https:');
      keys = createRemoteJWKSet(new URL(uri), {
        timeoutDuration: 5_000,
        cooldownDuration: 60_000,
        cacheMaxAge: 300_000,
        [customFetch]: boundedFetch,
      });
      this.keys.set(configuration, keys);
    }
    return keys;
  }
}

/** What makes a signed text a logout message, and no ID token: section 2.4. Sessions of the provider's (`sid`) are not kept here. */
function logoutOf({ iss = '', sub, jti, nonce, events }: JWTPayload & { events?: unknown }) {
  const event = (events as Record<string, unknown> | null | undefined)?.[EVENT];
  const isLogout = typeof event === 'object' && event !== null && nonce === undefined;
  if (!isLogout || !jti || !sub || !/^[\x20-\x7e]{1,255}$/.test(sub)) throw invalid();
  return { iss, sub, jti };
}

const invalid = () =>
  new BadRequestException({
    code: 'invalid_logout_token',
    detail: 'That is no logout message of this provider, or it came before.',
  });
