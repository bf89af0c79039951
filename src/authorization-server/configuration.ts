import type { Configuration, JWKS } from 'oidc-provider';
import type { Settings } from '../config/settings.js';
import type { Accounts } from './accounts.js';
import { signingIn } from './acr.js';
import { backchannelLifetime, ciba } from './ciba.js';
import { clientAuthentication } from './client-authentication.js';
import { clientMetadata, fapi } from './client-metadata.js';
import { cookies } from './cookies.js';
import { DEVICE_CODE_LIFETIME, device } from './device.js';
import { discovery } from './discovery.js';
import { dpop } from './dpop.js';
import type { Grants } from './grants/grants.js';
import { logout } from './logout.js';
import { mutualTls } from './mutual-tls.js';
import { outgoing } from './outgoing.js';
import { renderError } from './pages/error.js';
import { richAuthorizationRequests } from './rar.js';
import { registration } from './registration.js';
import { requestObjects } from './request-objects.js';
import { resourceIndicators } from './resources.js';
import type { Storage } from './storage.js';
import { tokenClaims } from './token-claims.js';
import { mayAskAbout, mayEnd } from './token-policies.js';

const MINUTE = 60;
const DAY = 24 * 60 * MINUTE;

/** Everything the engine is told. What is not named here is as its defaults have it. */
export function configuration(
  settings: Settings,
  accounts: Accounts,
  storage: Storage,
  jwks: JWKS,
  tlsUrl: string | undefined,
  grants: Grants,
): Configuration {
  return {
    adapter: (kind: string) => storage.of(kind),
    jwks,
    ...signingIn,
    cookies: cookies(settings),
    renderError,
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
      requestObjectSigningAlgValues: ['ES256', 'PS256', 'Ed25519', 'EdDSA'],
    },
    ...clientAuthentication,
    ...outgoing(settings),
    extraClientMetadata: clientMetadata,
    extraTokenClaims: tokenClaims,
    discovery: discovery(tlsUrl),
    allowOmittingSingleRegisteredRedirectUri: false,
    /** Scripts of a page may ask for tokens where the page belongs to a client that has no secret. */
    clientBasedCORS: (_ctx, origin, client) =>
      client.clientAuthMethod === 'none' && (client.redirectUris ?? []).some((uri) => isAt(origin, uri)),
    features: {
      devInteractions: { enabled: false },
      ...device,
      ...ciba(grants.backchannel),
      ...logout,
      claimsParameter: { enabled: true },
      clientCredentials: { enabled: true },
      dPoP: dpop(settings),
      fapi,
      introspection: { enabled: true, allowedPolicy: mayAskAbout },
      mTLS: mutualTls(settings),
      registration: registration(storage.oneTime),
      registrationManagement: { enabled: true, rotateRegistrationAccessToken: true },
      requestObjects,
      richAuthorizationRequests,
      revocation: { enabled: true, allowedPolicy: mayEnd },
      resourceIndicators: resourceIndicators(settings),
    },
    formats: { customizers: { jwt: (_ctx, token, parts) => storage.keepJwt(token, parts) } },
    pkce: { required: () => true },
    responseTypes: ['code'],
    rotateRefreshToken: true,
    scopes: ['openid', 'offline_access'],
    ttl: {
      AccessToken: 5 * MINUTE,
      AuthorizationCode: MINUTE,
      BackchannelAuthenticationRequest: backchannelLifetime,
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

const isAt = (origin: string, uri: string) => /^https?:/.test(origin) && new URL(uri).origin === origin;
