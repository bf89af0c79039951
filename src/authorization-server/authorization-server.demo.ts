import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import type { ClientMetadata } from 'oidc-provider';
import type { AssertionIssuer } from './authorization-server.config.js';
import { Settings } from '../config/settings.js';
import { DemoPort } from '../authentication/ports.js';
import { SCOPES } from '../permissions.js';
import { ClientsService } from './clients/clients.service.js';
import { OauthClient } from './clients/oauth-client.entity.js';
import { archiveUrl } from './grants/access-tokens.js';
import { JWT_BEARER, JwtBearerGrant } from './grants/jwt-bearer.service.js';
import { TOKEN_EXCHANGE } from './grants/token-exchange.service.js';

const CODE_FLOW_GRANT_TYPES = ['authorization_code', 'refresh_token'] as const;
const ALL_SCOPES = SCOPES.join(' ');

/** The private key of the demo client `fapi`. It is published, so only the demo may register it. */
export const DEMO_FAPI_KEY = {
  kty: 'EC',
  crv: 'P-256',
  x: '5MJhGYIbO_x1Wg_ZFxZU0nelPJ2CtwdcJblOuhFnAxY',
  y: 'kViUcJvYDgwgNDJrBGw9B89ZAD8K0bY1jpG6_fOC7JU',
  d: 'uah0ZfTwlYaxUZ7qHQug76tYwmQ2aPjIdq152jGSC2g',
  kid: 'fapi-demo',
  alg: 'ES256',
  use: 'sig',
} as const;

/** The secret of a confidential demo client. It is published, so only the demo may register it. */
export const demoSecret = (id: string) => `${id}-demo-secret-0123456789abcdef`;

const confidential = (id: string): Partial<ClientMetadata> => ({
  token_endpoint_auth_method: 'client_secret_basic',
  client_secret: demoSecret(id),
});

/** One client for each grant type and authentication method. */
export const DEMO_CLIENTS: readonly ({
  readonly accountId?: string;
  readonly tenantId?: string;
} & ClientMetadata)[] = [
  {
    client_id: 'web',
    client_name: 'Demo web application',
    ...confidential('web'),
    redirect_uris: ['http://localhost:4000/callback'],
    post_logout_redirect_uris: ['http://localhost:4000/'],
    authorization_details_types: ['document'],
    grant_types: [...CODE_FLOW_GRANT_TYPES],
    resource_scopes: ALL_SCOPES,
  },
  {
    client_id: 'spa',
    client_name: 'Demo single-page application',
    token_endpoint_auth_method: 'none',
    redirect_uris: ['http://localhost:5173/callback'],
    grant_types: [...CODE_FLOW_GRANT_TYPES],
    resource_scopes: ALL_SCOPES,
  },
  {
    client_id: 'native',
    client_name: 'Demo native application',
    application_type: 'native',
    token_endpoint_auth_method: 'none',
    redirect_uris: ['http://127.0.0.1/callback'],
    grant_types: [...CODE_FLOW_GRANT_TYPES],
    resource_scopes: ALL_SCOPES,
  },
  {
    client_id: 'machine',
    client_name: 'Demo service',
    accountId: 'acme-machine',
    tenantId: 'acme',
    ...confidential('machine'),
    redirect_uris: [],
    response_types: [],
    grant_types: ['client_credentials', TOKEN_EXCHANGE, JWT_BEARER],
    exchanges: 'web spa native device',
    authorization_details_types: ['document'],
    resource_scopes: ALL_SCOPES,
  },
  {
    client_id: 'device',
    client_name: 'Demo television',
    token_endpoint_auth_method: 'none',
    redirect_uris: [],
    response_types: [],
    grant_types: ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'],
    resource_scopes: ALL_SCOPES,
  },
  {
    client_id: 'ciba',
    client_name: 'Demo help desk',
    accountId: 'acme-machine',
    tenantId: 'acme',
    ...confidential('ciba'),
    redirect_uris: [],
    response_types: [],
    grant_types: ['urn:openid:params:grant-type:ciba', 'refresh_token'],
    backchannel_token_delivery_mode: 'poll',
    resource_scopes: 'documents:read',
  },
  {
    client_id: 'resource-server',
    client_name: 'Demo API that introspects tokens',
    tenantId: 'acme',
    ...confidential('resource-server'),
    redirect_uris: [],
    response_types: [],
    grant_types: [],
  },
  {
    client_id: 'fapi',
    client_name: 'Demo application under FAPI 2.0',
    security_profile: 'fapi-2.0',
    token_endpoint_auth_method: 'private_key_jwt',
    token_endpoint_auth_signing_alg: 'ES256',
    jwks: { keys: [publicJwk(DEMO_FAPI_KEY)] },
    require_pushed_authorization_requests: true,
    dpop_bound_access_tokens: true,
    redirect_uris: ['https://localhost:4443/callback'],
    grant_types: [...CODE_FLOW_GRANT_TYPES],
    resource_scopes: ALL_SCOPES,
  },
];

function publicJwk({ d: _private, ...key }: typeof DEMO_FAPI_KEY): Omit<typeof DEMO_FAPI_KEY, 'd'> {
  return key;
}

/**
 * A partner organisation whose assertions the demo trusts. Never trust it elsewhere, because its private key is published:
 *
 *     -----BEGIN PRIVATE KEY-----
 *     MC4CAQAwBQYDK2VwBCIEIGenrGEJmrwqP/9nELzrDT22KOlvsj4Tjtpcx1YLGtFb
 *     -----END PRIVATE KEY-----
 */
const DEMO_ASSERTION_ISSUER: AssertionIssuer = {
  issuer: 'https://partner.example',
  keys: [
    {
      kty: 'OKP',
      crv: 'Ed25519',
      kid: 'partner-demo',
      x: 'uJpD12bjpdxvfQfs6ZrlI6e7wPvdNW-rgGuZ_6QTgsA',
    },
  ],
  accounts: { 'robert@partner.example': 'bob' },
  scopes: ['documents:read'],
};

/** Registers the demo clients once, and trusts the demo's partner. */
@Injectable()
export class DemoClients implements OnApplicationBootstrap {
  constructor(
    private readonly demo: DemoPort,
    private readonly clients: ClientsService,
    private readonly jwtBearer: JwtBearerGrant,
    private readonly settings: Settings,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    const exists = await this.demo.once('oauth clients', async (manager: EntityManager) => {
      const audiences = [this.settings.publicUrl, archiveUrl(this.settings)];
      const rows = DEMO_CLIENTS.map(({ accountId = null, tenantId = null, client_id, ...metadata }) => ({
        ...this.clients.rowOf(client_id, {
          ...metadata,
          ...(client_id === 'resource-server' && { audiences }),
        }),
        accountId,
        tenantId,
      }));
      await manager.insert(OauthClient, rows);
      for (const row of rows) await this.clients.saveOrigins(manager, row);
    });
    if (exists) this.jwtBearer.trust(DEMO_ASSERTION_ISSUER);
  }
}
