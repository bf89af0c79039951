import { randomBytes } from 'node:crypto';
import { errors, type Configuration, type KoaContextWithOIDC } from 'oidc-provider';
import type { ReplayStore } from '../crypto/replay-store.service.js';
import type { ClientModel } from './client-model.js';

/** The name of what every registration has to satisfy, the first and each that changes it. */
export const REGISTERED = 'registered';

type Metadata = Record<string, unknown>;

const GRANTS = ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'];
const WEB_ADDRESSES = [
  'client_uri',
  'logo_uri',
  'policy_uri',
  'tos_uri',
  'jwks_uri',
  'initiate_login_uri',
  'sector_identifier_uri',
  'backchannel_logout_uri',
];
/** A scheme that belongs to a domain (RFC 8252, section 7.1): `com.example.app:/callback`. */
const OWN_SCHEME = /^[a-z][a-z\d+-]*\.[a-z\d.+-]+:$/;

/** Clients register themselves (RFC 7591, RFC 7592), with a token that an administrator has given out, for one client. */
export const registration = (
  oneTime: ReplayStore,
): NonNullable<Configuration['features']>['registration'] => ({
  enabled: true,
  initialAccessToken: true,
  issueRegistrationAccessToken: true,
  idFactory: newClientId,
  secretFactory: async () => newSecret(),
  policies: {
    [REGISTERED]: async (ctx: KoaContextWithOIDC, metadata: Metadata) => {
      refuseUnfit(metadata);
      if (ctx.oidc.route !== 'registration') return;
      // What is refused anyway does not use the token up.
      const Client = ctx.oidc.provider.Client as unknown as ClientModel;
      const { clientId: _valid } = new Client(metadata, ctx);
      const { jti, exp } = ctx.oidc.entities.InitialAccessToken!;
      if (!(await oneTime.use('oauth initial access token', jti, new Date(exp! * 1000))))
        throw new errors.InvalidToken('the initial access token was used');
    },
  },
});

export const newClientId = () => randomBytes(16).toString('base64url');

/** For `client_secret_jwt` as well, whose key it is (RFC 8725, section 3.5): nobody chooses one. */
export const newSecret = () => randomBytes(32).toString('base64url');

/** @throws InvalidClientMetadata for what is fine with the engine, and not for a client that nobody has looked at */
function refuseUnfit(metadata: Metadata): void {
  const unfit = (reason: string) => new errors.InvalidClientMetadata(reason);
  if (metadata['software_statement'] !== undefined)
    throw unfit('software_statement is by nobody who is trusted here');
  if (!listOf(metadata['grant_types']).every((grant) => GRANTS.includes(grant as string)))
    throw unfit(`grant_types must be of ${GRANTS.join(', ')}`);
  for (const name of ['audiences', 'exchanges'])
    if (metadata[name] !== undefined) throw unfit(`${name} are for an administrator to give`);
  for (const name of WEB_ADDRESSES)
    if (metadata[name] !== undefined && !isPublic(metadata[name]))
      throw unfit(`${name} must be an https address with a public name`);
  const native = metadata['application_type'] === 'native';
  for (const name of ['redirect_uris', 'post_logout_redirect_uris'])
    if (!listOf(metadata[name]).every(native ? isOfApp : isPublic))
      throw unfit(
        `${name} must be ${native ? 'loopback, of a scheme of your own domain, or https' : 'https addresses'}`,
      );
}

const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);

function parsed(value: unknown): URL | undefined {
  return typeof value === 'string' && URL.canParse(value) ? new URL(value) : undefined;
}

const DOMAIN = /^(?:[a-z\d-]+\.)+(?!localhost$|local$|internal$|arpa$)[a-z\d-]*[a-z][a-z\d-]*$/;

/** An https address by a domain name, as far as one can tell before it is asked for: see `outgoing.ts`. */
function isPublic(value: unknown): boolean {
  const { protocol, hostname = '', username, hash } = parsed(value) ?? {};
  return protocol === 'https:' && !username && !hash && DOMAIN.test(hostname);
}

/** RFC 8252, section 7: how a program on a device gets the answer back. */
function isOfApp(value: unknown): boolean {
  const { protocol = '', hostname, hash } = parsed(value) ?? {};
  if (protocol === 'http:') return !hash && (hostname === '127.0.0.1' || hostname === '[::1]');
  return (OWN_SCHEME.test(protocol) && !hash) || isPublic(value);
}
