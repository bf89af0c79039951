import { BadRequestException, Injectable } from '@nestjs/common';
import { errors, jwtVerify, type JWTPayload } from 'jose';
import { DataSource } from 'typeorm';
import { AuditPort } from '../../authentication/ports.js';
import { ReplayStore } from '../../crypto/replay-store.service.js';
import { endAllSignIns } from '../../users/end-sign-ins.js';
import type { OidcProvider } from './oidc-login.config.js';
import { providerError } from './oidc-login.errors.js';
import { LinkedIdentities } from './oidc-login.linked-identities.service.js';
import { OidcProviders } from './oidc-login.providers.service.js';

const BACKCHANNEL_LOGOUT_EVENT = 'http://schemas.openid.net/event/backchannel-logout';
const MAX_TOKEN_AGE_SECONDS = 120;
const CLOCK_TOLERANCE_SECONDS = 30;

/** The error codes of `jose` for keys that cannot be fetched, which are no fault of the token. */
const KEYS_UNAVAILABLE = /^ERR_(?:JOSE_GENERIC|JWKS_TIMEOUT|JWKS_INVALID)$/;

/** Back-channel logout: the provider reports that a user has signed out there (OpenID Connect Back-Channel Logout 1.0). */
@Injectable()
export class BackChannelLogout {
  constructor(
    private readonly providers: OidcProviders,
    private readonly identities: LinkedIdentities,
    private readonly replayStore: ReplayStore,
    private readonly dataSource: DataSource,
    private readonly audit: AuditPort,
  ) {}

  /**
   * Ends all sign-ins of the account that the token's subject is linked to, by every method.
   * Does nothing if no account is linked.
   *
   * @throws BadRequestException `invalid_logout_token`
   */
  async logOut(provider: OidcProvider, token: string): Promise<void> {
    const { iss, sub, jti } = await this.verify(provider, token);
    const lifetimeMs = (MAX_TOKEN_AGE_SECONDS + 2 * CLOCK_TOLERANCE_SECONDS) * 1000;
    const expiry = new Date(Date.now() + lifetimeMs);
    if (!(await this.replayStore.use(`oidc-login logout of ${provider.id}`, jti, expiry)))
      throw invalidToken();
    const identity = await this.identities.find({ iss, sub });
    if (!identity || identity.user.tenantId !== provider.tenant) return;
    const { user } = identity;
    await this.dataSource.transaction(async (manager) => {
      await endAllSignIns(manager, user.id);
      await this.audit.append(manager, {
        event: 'authn_token_revoked',
        actor: user,
        method: 'oidc-login',
        target: `user:${user.id}`,
        details: { everywhere: true, provider: provider.id },
      });
    });
  }

  private async verify(provider: OidcProvider, token: string) {
    const discovered = await this.providers.discover(provider);
    const { issuer, id_token_signing_alg_values_supported: supported = ['RS256'] } =
      discovered.configuration.serverMetadata();
    try {
      const { payload } = await jwtVerify(token, discovered.keys, {
        issuer,
        audience: provider.clientId,
        // Asymmetric algorithms only: an HMAC key would be the client secret.
        algorithms: supported.filter((algorithm) => /^(?:RS|PS|ES|Ed)/.test(algorithm)),
        maxTokenAge: MAX_TOKEN_AGE_SECONDS,
        clockTolerance: CLOCK_TOLERANCE_SECONDS,
      });
      return logoutClaims(payload);
    } catch (error) {
      if (error instanceof BadRequestException) throw error;
      if (error instanceof errors.JOSEError && !KEYS_UNAVAILABLE.test(error.code)) throw invalidToken();
      throw providerError(error, provider);
    }
  }
}

/** The claims that distinguish a logout token from an ID token (section 2.4). Tokens with only a `sid` are rejected. */
function logoutClaims({ iss = '', sub, jti, nonce, events }: JWTPayload & { events?: unknown }) {
  const event = (events as Record<string, unknown> | null | undefined)?.[BACKCHANNEL_LOGOUT_EVENT];
  if (typeof event !== 'object' || event === null) throw invalidToken();
  if (nonce !== undefined) throw invalidToken();
  if (!jti || !sub || !/^[\x20-\x7e]{1,255}$/.test(sub)) throw invalidToken();
  return { iss, sub, jti };
}

const invalidToken = () =>
  new BadRequestException({
    code: 'invalid_logout_token',
    detail: 'The logout token is invalid for this provider, has expired, or was used before.',
  });
