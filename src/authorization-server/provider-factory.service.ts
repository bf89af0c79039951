import { Inject, Injectable } from '@nestjs/common';
import type { ConfigType } from '@nestjs/config';
import type { Account, Configuration, JWKS, Provider } from 'oidc-provider';
import { DataSource } from 'typeorm';
import { ClientCertificateEndpoint } from '../authentication/client-certificate.js';
import { Settings } from '../config/settings.js';
import { User } from '../users/user.entity.js';
import { authorizationServerConfig } from './authorization-server.config.js';
import {
  clientAuthentication,
  mtlsEndpointAliases,
  mutualTls,
  requestObjects,
} from './clients/client-authentication.js';
import { extraClientMetadata, fapi, pkce, rotateRefreshToken } from './clients/client-metadata.js';
import { ClientsService } from './clients/clients.service.js';
import { pageOriginsOf } from './clients/oauth-client.entity.js';
import { SelfRegistration } from './clients/self-registration.service.js';
import { PostedRequests } from './consent/posted-requests.service.js';
import { signInPrompt } from './consent/sign-in-prompt.js';
import {
  addOpenidScopes,
  extraTokenClaims,
  introspectionPolicy,
  resourceIndicators,
  revocationPolicy,
} from './grants/access-tokens.js';
import { richAuthorizationRequests } from './grants/authorization-details.js';
import {
  BackchannelRequests,
  backchannelAuthentication,
  backchannelRequestLifetime,
} from './grants/backchannel-requests.service.js';
import { rejectUnsupportedLimits } from './grants/extension-grant.js';
import { JWT_BEARER, JWT_BEARER_PARAMETERS, JwtBearerGrant } from './grants/jwt-bearer.service.js';
import {
  TOKEN_EXCHANGE,
  TOKEN_EXCHANGE_PARAMETERS,
  TokenExchangeGrant,
} from './grants/token-exchange.service.js';
import { deviceFlowPages } from './pages/device-pages.js';
import { formPostPage, logoutPages, pageOfRejection, renderError } from './pages/provider-pages.js';
import {
  INTERACTION_LIFETIME_SECONDS,
  cookies,
  dpop,
  outboundRequests,
  rejectDuplicateCookies,
  setBrowserCookie,
  shareWithPagesOf,
} from './provider/http-security.js';
import { authRequestOfKoa } from './provider/provider-request.js';
import { ProviderFactory } from './provider/oidc-provider.service.js';
import { ProviderEvents } from './provider/provider-events.service.js';
import { AdapterFactory } from './storage/adapter-factory.service.js';
import { useStoredSuccessors } from './storage/record-adapter.js';

type Library = typeof import('oidc-provider');

const MINUTE_SECONDS = 60;
const DAY_SECONDS = 24 * 60 * MINUTE_SECONDS;

/** Configures oidc-provider. Options that are not listed here keep the library's defaults. */
@Injectable()
export class OidcProviderFactory extends ProviderFactory {
  constructor(
    private readonly settings: Settings,
    @Inject(authorizationServerConfig.KEY)
    private readonly config: ConfigType<typeof authorizationServerConfig>,
    private readonly dataSource: DataSource,
    private readonly selfRegistration: SelfRegistration,
    private readonly clientCertificateEndpoint: ClientCertificateEndpoint,
    private readonly adapters: AdapterFactory,
    private readonly clients: ClientsService,
    private readonly events: ProviderEvents,
    private readonly postedRequests: PostedRequests,
    private readonly tokenExchange: TokenExchangeGrant,
    private readonly jwtBearer: JwtBearerGrant,
    private readonly backchannelRequests: BackchannelRequests,
  ) {
    super();
  }

  async create(issuer: string, jwks: JWKS): Promise<Provider> {
    const library = await import('oidc-provider').catch(endProcess);
    const provider = new library.Provider(issuer, this.configuration(library, jwks));
    provider.registerGrantType(
      TOKEN_EXCHANGE,
      (ctx) => this.tokenExchange.handle(ctx),
      TOKEN_EXCHANGE_PARAMETERS,
      ['audience', 'resource'],
    );
    provider.registerGrantType(
      JWT_BEARER,
      (ctx) => this.jwtBearer.handle(ctx),
      JWT_BEARER_PARAMETERS,
      'resource',
    );
    rejectUnsupportedLimits(provider);
    useStoredSuccessors(provider);
    provider.proxy = true;
    provider.use(formPostPage as never);
    provider.use(this.selfRegistration.middleware(provider) as never);
    addOpenidScopes(provider, this.settings);
    provider.use(pageOfRejection((ctx) => rejectDuplicateCookies(authRequestOfKoa(ctx), this.settings)));
    provider.on('interaction.started', (ctx) => setBrowserCookie(ctx, this.settings));
    this.events.listen(provider);
    provider.use(shareWithPagesOf((origin) => this.clients.hasPageAt(origin)));
    provider.use(this.postedRequests.middleware as never);
    return provider;
  }

  private configuration({ interactionPolicy }: Library, jwks: JWKS): Configuration {
    const { settings } = this;
    return {
      adapter: (kind: string) => (kind === 'Client' ? this.clients : this.adapters.create(kind)),
      jwks,
      ...signInPrompt(interactionPolicy, this.clients),
      cookies: cookies(settings),
      renderError,
      findAccount: (ctx, id, token) => this.findAccount(id, token && ctx.oidc.client?.clientId),
      claims: {
        openid: ['sub'],
        profile: ['name', 'preferred_username', 'tenant'],
        acr: null,
        auth_time: null,
        iss: null,
        sid: null,
      },
      clientDefaults: { id_token_signed_response_alg: 'ES256' },
      enabledJWA: {
        idTokenSigningAlgValues: ['ES256', 'RS256'],
        requestObjectSigningAlgValues: ['ES256', 'PS256', 'Ed25519', 'EdDSA'],
      },
      ...clientAuthentication,
      ...outboundRequests(settings),
      extraClientMetadata,
      extraTokenClaims,
      discovery: mtlsEndpointAliases(this.clientCertificateEndpoint.url),
      allowOmittingSingleRegisteredRedirectUri: false,
      /** Scripts of a web page may request tokens only for a public client whose redirect URI is on the page's origin. */
      clientBasedCORS: (_ctx, origin, client) => pageOriginsOf(client.metadata()).includes(origin),
      features: this.features(),
      formats: { customizers: { jwt: (_ctx, token, parts) => this.adapters.saveJwt(token, parts) } },
      pkce,
      responseTypes: ['code'],
      rotateRefreshToken,
      scopes: ['openid', 'offline_access'],
      ttl: {
        AccessToken: 5 * MINUTE_SECONDS,
        AuthorizationCode: MINUTE_SECONDS,
        BackchannelAuthenticationRequest: backchannelRequestLifetime,
        ClientCredentials: 5 * MINUTE_SECONDS,
        DeviceCode: 10 * MINUTE_SECONDS,
        Grant: 14 * DAY_SECONDS,
        IdToken: 5 * MINUTE_SECONDS,
        Interaction: INTERACTION_LIFETIME_SECONDS,
        RefreshToken: 14 * DAY_SECONDS,
        Session: DAY_SECONDS,
      },
    };
  }

  private features(): Configuration['features'] {
    const { settings } = this;
    return {
      backchannelLogout: { enabled: true },
      ciba: backchannelAuthentication(this.backchannelRequests),
      claimsParameter: { enabled: true },
      clientIdMetadataDocument: this.selfRegistration.clientIdMetadataDocument(),
      clientCredentials: { enabled: true },
      deviceFlow: {
        enabled: true,
        // The set has no vowels, so that no code is a word, and no letters that look alike (RFC 8628 section 6.1).
        charset: 'base-20',
        mask: '****-****',
        // The device's address does not help a person to recognise it.
        deviceInfo: () => ({}),
        ...deviceFlowPages,
      },
      devInteractions: { enabled: false },
      dPoP: dpop(settings),
      fapi,
      introspection: { enabled: true, allowedPolicy: introspectionPolicy(this.clients) },
      mTLS: mutualTls(settings, this.config.clientCas),
      registration: this.selfRegistration.registration(),
      registrationManagement: { enabled: true, rotateRegistrationAccessToken: true },
      requestObjects,
      richAuthorizationRequests,
      revocation: { enabled: true, allowedPolicy: revocationPolicy },
      resourceIndicators: resourceIndicators(settings),
      rpInitiatedLogout: { enabled: true, ...logoutPages },
    };
  }

  /**
   * @param clientId the client that uses a token of the account
   * @returns undefined for an unknown, disabled or machine account, and for one that the client is not for, so that
   *   oidc-provider rejects the request
   */
  private async findAccount(id: string, clientId?: string): Promise<Account | undefined> {
    const user = await this.dataSource.manager.findOneBy(User, { id });
    if (!user || user.disabledAt || user.kind !== 'user') return undefined;
    if (clientId !== undefined && !(await this.clients.accepts(clientId, user.tenantId))) return undefined;
    const { name, username, tenantId } = user;
    return {
      accountId: id,
      claims: async () => ({
        sub: id,
        ...(name !== null && { name }),
        preferred_username: username,
        tenant: tenantId,
      }),
    };
  }
}

/** Node never repeats a failed import, for example one without a free file descriptor. So a new process must take over. */
function endProcess(error: unknown): never {
  setImmediate(() => {
    throw error;
  });
  throw error;
}
