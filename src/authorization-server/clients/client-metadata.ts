import { randomBytes } from 'node:crypto';
import {
  errors,
  type Client,
  type ClientMetadata,
  type Configuration,
  type KoaContextWithOIDC,
} from 'oidc-provider';
import type { DataSource } from 'typeorm';
import { importStrongJwk } from '../../crypto/public-keys.js';
import type { ReplayStore } from '../../crypto/replay-store.service.js';
import { isScope } from '../../permissions.js';
import type { ClientModel } from '../provider/oidc-provider.service.js';
import { OauthRecord } from '../storage/oauth-record.entity.js';
import { recordId } from '../storage/oauth-records.service.js';

type Metadata = Record<string, unknown>;

const isBoolean = (value: unknown): value is boolean => typeof value === 'boolean';
const isText = (value: unknown): value is string => typeof value === 'string';

/** Client metadata that this server adds to RFC 7591: a description of valid values, and their check. */
const EXTRA_METADATA: Readonly<
  Record<string, readonly [description: string, isValid: (value: unknown) => boolean]>
> = {
  resource_scopes: [
    'scopes of the API, separated by spaces',
    (value) => isText(value) && (value === '' || value.split(' ').every(isScope)),
  ],
  access_token_format: ['jwt or opaque', (value) => value === 'jwt' || value === 'opaque'],
  /** For a resource server: it may introspect tokens with these audiences. */
  audiences: ['a list of audiences', (value) => Array.isArray(value) && value.every(isText)],
  /** For a service: it may exchange tokens of these clients (RFC 8693). */
  exchanges: ['client ids, separated by spaces', isText],
  security_profile: ['fapi-2.0', (value) => value === 'fapi-2.0'],
  require_pkce: ['a boolean', isBoolean],
  client_assertion_aud_restricted_to_issuer: ['a boolean', isBoolean],
};

/** Settings that are weaker than the default. Administrators may choose them for confidential clients without FAPI. */
const RELAXED_SETTINGS: Readonly<Record<string, (value: unknown) => boolean>> = {
  require_pkce: (value) => value === false,
  client_assertion_aud_restricted_to_issuer: (value) => value === false,
  id_token_signed_response_alg: (value) => value !== undefined && value !== 'ES256',
};
const relaxedSettingsOf = (metadata: object): string[] =>
  Object.entries(RELAXED_SETTINGS)
    .filter(([name, isRelaxed]) => isRelaxed((metadata as Metadata)[name]))
    .map(([name]) => name);

/** Exempts a client from PKCE only if it was registered so (RFC 9700 section 2.1.1). */
export const pkce: Configuration['pkce'] = { required: (_ctx, client) => client['require_pkce'] !== false };

export const extraClientMetadata: Configuration['extraClientMetadata'] = {
  properties: Object.keys(EXTRA_METADATA),
  validator(_ctx, key, value, metadata) {
    // oidc-provider calls this for every property, present or absent.
    if (key === 'resource_scopes') {
      assertStrongKeys(metadata.jwks);
      assertStrictSettings(metadata);
    }
    const [description, isValid] = EXTRA_METADATA[key]!;
    if (value !== undefined && !isValid(value))
      throw new errors.InvalidClientMetadata(`${key} must be ${description}`);
  },
};

/** @throws InvalidClientMetadata for a public key with which others could sign */
function assertStrongKeys(jwks: ClientMetadata['jwks']): void {
  if (Array.isArray(jwks?.keys) && !jwks.keys.every((jwk) => importStrongJwk(jwk)))
    throw new errors.InvalidClientMetadata('jwks must hold strong keys: RSA from 2048 bits, EC or Ed25519');
}

/** @throws InvalidClientMetadata for a public or FAPI client with a relaxed setting */
function assertStrictSettings(metadata: ClientMetadata): void {
  if (metadata.token_endpoint_auth_method !== 'none' && metadata['security_profile'] === undefined) return;
  for (const name of relaxedSettingsOf(metadata))
    throw new errors.InvalidClientMetadata(
      `${name} must be strict for a public client and for security_profile`,
    );
}

/** Applies the FAPI 2.0 Security Profile to the clients that are registered for it. */
export const fapi: NonNullable<Configuration['features']>['fapi'] = {
  enabled: true,
  profile: (_ctx, client) => (isFapiClient(client) ? '2.0' : undefined),
};

export const isFapiClient = (client: Client): boolean => client['security_profile'] === 'fapi-2.0';

/**
 * FAPI 2.0 forbids rotation (section 5.3.2.1): its refresh tokens are useless without the client's credential. All others
 * are rotated, so that a copied token is detected (RFC 9700 section 4.14.2).
 */
export const rotateRefreshToken: Configuration['rotateRefreshToken'] = ({ oidc: { client } }) =>
  client?.clientAuthMethod === 'none' || !isFapiClient(client!);

/** The name of the policy that oidc-provider applies to self-registered clients, on registration and on every update. */
export const REGISTRATION_POLICY = 'registered';

/** Dynamic registration (RFC 7591, RFC 7592) with an initial access token, which an administrator issues for one client. */
export const clientRegistration = (
  replays: ReplayStore,
  { manager }: DataSource,
): NonNullable<Configuration['features']>['registration'] => ({
  enabled: true,
  initialAccessToken: true,
  issueRegistrationAccessToken: true,
  idFactory: newClientId,
  secretFactory: async () => newClientSecret(),
  policies: {
    [REGISTRATION_POLICY]: async (ctx: KoaContextWithOIDC, metadata: Metadata) => {
      checkMetadata(metadata);
      if (ctx.oidc.route !== 'registration') return;
      // Validates first, so that an invalid request does not use the token up.
      const Client = ctx.oidc.provider.Client as unknown as ClientModel;
      const { clientId: _valid } = new Client(metadata, ctx);
      const { jti, exp } = ctx.oidc.entities.InitialAccessToken!;
      const where = { id: recordId('InitialAccessToken', jti) };
      const row = await manager.findOne(OauthRecord, { where, relations: { account: true } });
      if (!row?.account?.roles.includes('admin'))
        throw new errors.InvalidToken('the initial access token is not of an administrator');
      if (!(await replays.use('oauth initial access token', jti, new Date(exp! * 1000))))
        throw new errors.InvalidToken('the initial access token was already used');
    },
  },
});

export const newClientId = () => randomBytes(16).toString('base64url');

/** 256 bits, because `client_secret_jwt` uses it as an HMAC key (RFC 8725 section 3.5). */
export const newClientSecret = () => randomBytes(32).toString('base64url');

const SELF_REGISTERED_GRANT_TYPES = [
  'authorization_code',
  'refresh_token',
  'urn:ietf:params:oauth:grant-type:device_code',
];
const URL_PROPERTIES = [
  'client_uri',
  'logo_uri',
  'policy_uri',
  'tos_uri',
  'jwks_uri',
  'initiate_login_uri',
  'sector_identifier_uri',
  'backchannel_logout_uri',
];

/** @throws InvalidClientMetadata for metadata that only an administrator may register */
function checkMetadata(metadata: Metadata): void {
  const invalid = (reason: string) => new errors.InvalidClientMetadata(reason);
  if (metadata['software_statement'] !== undefined) throw invalid('software_statement is not supported');
  if (!listOf(metadata['grant_types']).every((type) => SELF_REGISTERED_GRANT_TYPES.includes(type as string)))
    throw invalid(`grant_types must be of ${SELF_REGISTERED_GRANT_TYPES.join(', ')}`);
  const reserved = ['audiences', 'exchanges'].filter((name) => metadata[name] !== undefined);
  for (const name of [...reserved, ...relaxedSettingsOf(metadata)])
    throw invalid(`${name} can only be set by an administrator`);
  for (const name of URL_PROPERTIES)
    if (metadata[name] !== undefined && !isPublicUrl(metadata[name]))
      throw invalid(`${name} must be an https URL with a public domain name`);
  const native = metadata['application_type'] === 'native';
  for (const name of ['redirect_uris', 'post_logout_redirect_uris'])
    if (!listOf(metadata[name]).every(native ? isNativeRedirectUri : isPublicUrl))
      throw invalid(
        `${name} must be ${native ? 'loopback URLs, private-use URIs of your own domain, or https URLs' : 'https URLs'}`,
      );
}

const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);

function parseUrl(value: unknown): URL | undefined {
  return typeof value === 'string' && URL.canParse(value) ? new URL(value) : undefined;
}

const PUBLIC_DOMAIN = /^(?:[a-z\d-]+\.)+(?!localhost$|local$|internal$|arpa$)[a-z\d-]*[a-z][a-z\d-]*$/;

/** An https URL with a domain name. Its address is checked on connection, see `outboundRequests` in http-security.ts. */
function isPublicUrl(value: unknown): boolean {
  const { protocol, hostname = '', username, hash } = parseUrl(value) ?? {};
  return protocol === 'https:' && !username && !hash && PUBLIC_DOMAIN.test(hostname);
}

/** A private-use URI scheme, which contains a domain name (RFC 8252 section 7.1): `com.example.app:/callback`. */
const PRIVATE_USE_SCHEME = /^[a-z][a-z\d+-]*\.[a-z\d.+-]+:$/;

/** The redirect URIs of native applications (RFC 8252 section 7). */
function isNativeRedirectUri(value: unknown): boolean {
  const { protocol = '', hostname, hash } = parseUrl(value) ?? {};
  if (protocol === 'http:') return !hash && (hostname === '127.0.0.1' || hostname === '[::1]');
  return (PRIVATE_USE_SCHEME.test(protocol) && !hash) || isPublicUrl(value);
}
