import { randomBytes } from 'node:crypto';
import type { Client, ClientMetadata, Configuration } from 'oidc-provider';
import { importStrongJwk } from '../../crypto/public-keys.js';
import { SCOPES, isScope } from '../../permissions.js';
import { DISPLAY_NAME_RULE, normalizeDisplayName } from '../../users/display-name.js';
import { errors } from '../provider/oidc-provider.js';

export type Metadata = Record<string, unknown>;

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
  validator(_ctx, key, _value, metadata) {
    // oidc-provider calls this for every property, present or absent, before it checks the standard ones.
    if (key === 'resource_scopes') prepare(metadata);
    const value = (metadata as Metadata)[key];
    const [description, isValid] = EXTRA_METADATA[key]!;
    if (value !== undefined && !isValid(value))
      throw new errors.InvalidClientMetadata(`${key} must be ${description}`);
  },
};

function prepare(metadata: Metadata): void {
  assertStrongKeys(metadata['jwks'] as ClientMetadata['jwks']);
  const isDocument = isDocumentUrl(metadata['client_id']);
  if (isDocument) limitDocument(metadata);
  splitScope(metadata, isDocument);
  assertStrictSettings(metadata as unknown as ClientMetadata);
}

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

/** Standard scopes that this server does not support. OpenID Connect Core 1.0 section 5.4 lets it ignore them. */
export const IGNORED_SCOPES = ['email', 'address', 'phone'];
export const SUPPORTED_OPENID_SCOPES = ['openid', 'profile', 'offline_access'];

/**
 * Splits `scope` (RFC 7591 section 2): oidc-provider checks its OpenID scopes, and `resource_scopes` has those of the API.
 * @throws InvalidClientMetadata
 */
function splitScope(metadata: Metadata, ignoreUnknown: boolean): void {
  const { scope, resource_scopes } = metadata;
  if (!isText(scope)) return;
  const names = [...new Set(scope.split(' '))].filter((name) => name && !IGNORED_SCOPES.includes(name));
  const unknown = names.find((name) => !isScope(name) && !SUPPORTED_OPENID_SCOPES.includes(name));
  if (unknown !== undefined && !ignoreUnknown)
    throw new errors.InvalidClientMetadata('scope contains an unknown scope');
  metadata['scope'] = names.filter((name) => SUPPORTED_OPENID_SCOPES.includes(name)).join(' ') || undefined;
  const ofApi = names.filter(isScope);
  if (!ofApi.length) return;
  const sorted = ofApi.toSorted().join(' ');
  if (isText(resource_scopes) && resource_scopes.split(' ').toSorted().join(' ') !== sorted)
    throw new errors.InvalidClientMetadata('scope and resource_scopes name different scopes of the API');
  metadata['resource_scopes'] = ofApi.join(' ');
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

export const newClientId = () => randomBytes(16).toString('base64url');

/** 256 bits, because `client_secret_jwt` uses it as an HMAC key (RFC 8725 section 3.5). */
export const newClientSecret = () => randomBytes(32).toString('base64url');

/** The grant types of clients that nobody has vouched for. */
const CODE_GRANT_TYPES = ['authorization_code', 'refresh_token'];
/** The grant types of clients that an administrator has invited by an initial access token. */
const INVITED_GRANT_TYPES = [...CODE_GRANT_TYPES, 'urn:ietf:params:oauth:grant-type:device_code'];
/** URLs that this server fetches or posts to. */
const FETCHED_URLS = ['jwks_uri', 'sector_identifier_uri', 'backchannel_logout_uri'];
const MAX_METADATA_CHARACTERS = 8_192;
const MAX_REDIRECT_URIS = 10;
const SHOWN_URLS = ['client_uri', 'logo_uri', 'policy_uri', 'tos_uri', 'initiate_login_uri'];

/**
 * Checks the metadata of a client that registers itself.
 * @param admission `invited` by an initial access token of an administrator, which may also allow `relaxed` settings
 * @throws InvalidClientMetadata
 */
export function checkMetadata(metadata: Metadata, admission: 'open' | 'invited' | 'relaxed'): void {
  const invalid = (reason: string) => new errors.InvalidClientMetadata(reason);
  normalizeName(metadata);
  if (JSON.stringify(metadata).length > MAX_METADATA_CHARACTERS) throw invalid('the metadata is too long');
  if (metadata['software_statement'] !== undefined) throw invalid('software_statement is not supported');
  const grantTypes = admission === 'open' ? CODE_GRANT_TYPES : INVITED_GRANT_TYPES;
  if (!listOf(metadata['grant_types']).every((type) => grantTypes.includes(type as string)))
    throw invalid(`grant_types must be of ${grantTypes.join(', ')}`);
  checkPrivileges(metadata, admission === 'relaxed');
  checkUrls(metadata);
  if (admission === 'open')
    for (const name of FETCHED_URLS)
      if (metadata[name] !== undefined) throw invalid(`${name} needs an initial access token`);
  if (listOf(metadata['redirect_uris']).length > MAX_REDIRECT_URIS)
    throw invalid(`redirect_uris may have at most ${MAX_REDIRECT_URIS} values`);
  // Most clients with a loopback URI omit this member, whose default is `web` (RFC 8252 section 8.4).
  if (listOf(metadata['redirect_uris']).some((uri) => !isPublicUrl(uri)))
    metadata['application_type'] ??= 'native';
  const native = metadata['application_type'] === 'native';
  for (const name of ['redirect_uris', 'post_logout_redirect_uris'])
    if (!listOf(metadata[name]).every(native ? isNativeRedirectUri : isPublicUrl))
      throw invalid(
        `${name} must be ${native ? 'loopback URLs, private-use URIs of your own domain, or https URLs' : 'https URLs'}`,
      );
}

/** @throws InvalidClientMetadata for members that only an administrator may set */
function checkPrivileges(metadata: Metadata, mayRelax = false): void {
  const reserved = ['audiences', 'exchanges'].filter((name) => metadata[name] !== undefined);
  for (const name of [...reserved, ...(mayRelax ? [] : relaxedSettingsOf(metadata))])
    throw new errors.InvalidClientMetadata(`${name} can only be set by an administrator`);
}

/**
 * Replaces the name, which the consent page shows, with its canonical form.
 * @throws InvalidClientMetadata
 */
export function normalizeName(metadata: Metadata): void {
  const { client_name } = metadata;
  if (client_name === undefined) return;
  const name = isText(client_name) ? normalizeDisplayName(client_name) : undefined;
  if (name === undefined)
    throw new errors.InvalidClientMetadata(`client_name must have ${DISPLAY_NAME_RULE}`);
  metadata['client_name'] = name;
}

/** Whether a `client_id` is the URL of a Client ID Metadata Document. The ids that this server issues have no colon. */
export const isDocumentUrl = (id: unknown): id is string => isText(id) && id.startsWith('https://');

/**
 * Applies the limits of self-registered clients to a Client ID Metadata Document, which is written for many servers.
 * Unsupported members are ignored.
 */
function limitDocument(metadata: Metadata): void {
  normalizeName(metadata);
  checkPrivileges(metadata);
  const { origin } = new URL(metadata['client_id'] as string);
  const uris = listOf(metadata['redirect_uris']);
  metadata['grant_types'] = listOf(metadata['grant_types']).filter((type) =>
    CODE_GRANT_TYPES.includes(type as string),
  );
  for (const name of FETCHED_URLS)
    if (name !== 'jwks_uri' || parseUrl(metadata[name])?.origin !== origin) delete metadata[name];
  const isLoopback = (uri: unknown) => parseUrl(uri)?.protocol === 'http:' && isNativeRedirectUri(uri);
  if (!uris.every((uri) => isLoopback(uri) || parseUrl(uri)?.origin === origin))
    throw new errors.InvalidClientMetadata(
      'redirect_uris must be on the origin of the client_id, or loopback URLs',
    );
  metadata['application_type'] = uris.some(isLoopback) ? 'native' : 'web';
  if (metadata['scope'] === undefined) metadata['resource_scopes'] ??= SCOPES.join(' ');
}

/**
 * The server sends requests to some of these URLs, so none may lead into its own network.
 * @throws InvalidClientMetadata
 */
export function checkUrls(metadata: Metadata): void {
  const urls = [...FETCHED_URLS, ...SHOWN_URLS];
  const name = urls.find((each) => metadata[each] !== undefined && !isPublicUrl(metadata[each]));
  if (name) throw new errors.InvalidClientMetadata(`${name} must be an https URL with a public domain name`);
}

const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);

function parseUrl(value: unknown): URL | undefined {
  return typeof value === 'string' && URL.canParse(value) ? new URL(value) : undefined;
}

const PUBLIC_DOMAIN = /^(?:[a-z\d-]+\.)+(?!localhost$|local$|internal$|arpa$)[a-z\d-]*[a-z][a-z\d-]*$/;

/** An https URL with a domain name. Its address is checked on connection, see `outboundRequests` in http-security.ts. */
export function isPublicUrl(value: unknown): boolean {
  const { protocol, hostname = '', username, hash } = parseUrl(value) ?? {};
  return protocol === 'https:' && !username && !hash && PUBLIC_DOMAIN.test(hostname);
}

/** A private-use URI scheme, which contains a domain name (RFC 8252 section 7.1): `com.example.app:/callback`. */
const PRIVATE_USE_SCHEME = /^[a-z][a-z\d+-]*\.[a-z\d.+-]+:$/;

/** By name, too: RFC 8252 section 8.3 only recommends an address. */
const LOOPBACK_HOSTS: readonly unknown[] = ['127.0.0.1', '[::1]', 'localhost'];

/** The redirect URIs of native applications (RFC 8252 section 7). */
function isNativeRedirectUri(value: unknown): boolean {
  const { protocol = '', hostname, hash } = parseUrl(value) ?? {};
  if (protocol === 'http:') return !hash && LOOPBACK_HOSTS.includes(hostname);
  return (PRIVATE_USE_SCHEME.test(protocol) && !hash) || isPublicUrl(value);
}
