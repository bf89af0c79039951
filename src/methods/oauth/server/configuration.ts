import type { Configuration, JWKS, KoaContextWithOIDC } from 'oidc-provider';
import { shownCertificate } from '../../../auth/index.js';
import type { Settings } from '../../../config/index.js';
import { Keyring } from '../../../crypto/index.js';
import type { Accounts } from './accounts.js';
import { DEVICE_CODE_LIFETIME, device } from './device.js';
import { incomingOf } from './exchange.js';
import { exchangedClaims } from './grants/grants.js';
import { resourceIndicators } from './resources.js';
import type { Storage } from './storage.js';

const MINUTE = 60;
const DAY = 24 * 60 * MINUTE;

/** Everything the engine is told. What is not named here is as its defaults have it. */
export function configuration(
  settings: Settings,
  accounts: Accounts,
  storage: Storage,
  jwks: JWKS,
): Configuration {
  const cookies = new Keyring(settings, 'oauth cookies').current.key.export().toString('base64url');
  return {
    adapter: (kind: string) => storage.of(kind),
    jwks,
    cookies: { keys: [cookies], long: { signed: true }, short: { signed: true } },
    findAccount: (_ctx, sub) => accounts.find(sub),
    claims: {
      openid: ['sub'],
      profile: ['preferred_username', 'tenant'],
      acr: null,
      auth_time: null,
      iss: null,
      sid: null,
    },
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    enabledJWA: {
      idTokenSigningAlgValues: ['ES256'],
    },
    clientAuthMethods: [
      'none',
      'client_secret_basic',
      'client_secret_post',
      'client_secret_jwt',
      'private_key_jwt',
      'tls_client_auth',
      'self_signed_tls_client_auth',
    ],
    extraClientMetadata: { properties: ['access_token_format', 'exchanges', 'resource_scopes'] },
    extraTokenClaims: () => exchangedClaims(),
    features: {
      devInteractions: { enabled: false },
      ...device,
      clientCredentials: { enabled: true },
      introspection: { enabled: true },
      revocation: { enabled: true },
      resourceIndicators: resourceIndicators(settings),
      mTLS: {
        enabled: true,
        certificateBoundAccessTokens: true,
        tlsClientAuth: true,
        selfSignedTlsClientAuth: true,
        certificateAuthorized: () => false,
        certificateSubjectMatches: () => false,
        getCertificate: (ctx: KoaContextWithOIDC) =>
          shownCertificate(incomingOf(ctx.req), (address) => settings.trusts(address))?.toString() as string,
      },
    },
    formats: { customizers: { jwt: (_ctx, token, parts) => storage.keepJwt(token, parts) } },
    interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    pkce: { required: () => true },
    responseTypes: ['code'],
    rotateRefreshToken: true,
    scopes: ['openid', 'offline_access'],
    ttl: {
      AccessToken: 5 * MINUTE,
      AuthorizationCode: MINUTE,
      ClientCredentials: 5 * MINUTE,
      DeviceCode: DEVICE_CODE_LIFETIME,
      Grant: 14 * DAY,
      IdToken: 5 * MINUTE,
      Interaction: 10 * MINUTE,
      RefreshToken: 14 * DAY,
      Session: DAY,
    },
  };
}
