import { createPrivateKey, type JsonWebKey } from 'node:crypto';
import { registerAs } from '@nestjs/config';
import { z } from 'zod';
import { InvalidSettings, Settings } from '../../config/settings.js';
import { importStrongJwk } from '../../crypto/public-keys.js';
import { jsonSetting } from '../../config/json.js';
import { ROLES } from '../../permissions.js';

const text = (message: string, maxLength = 255) =>
  z.string(message).min(1, message).max(maxLength, `has more than ${maxLength} characters`);

const provider = z.strictObject({
  id: text('must be given').regex(
    /^[a-z][a-z0-9-]{0,23}$/,
    'must have 1 to 24 lower-case letters, digits and hyphens, and begin with a letter',
  ),
  name: text('must be the display name', 100).optional(),
  issuer: text('must be the issuer URL').refine(isIssuer, 'must be a URL without query and fragment'),
  clientId: text('must be the client id at the provider'),
  clientAuth: z
    .enum(
      ['client_secret_basic', 'client_secret_post', 'private_key_jwt'],
      'must be client_secret_basic, client_secret_post or private_key_jwt',
    )
    .default('client_secret_basic'),
  clientSecret: text('must be the client secret or be omitted', 10_000).optional(),
  scopes: z
    .array(text('must be a scope').regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, 'is not a scope'), 'must be a list')
    .refine((scopes) => scopes.includes('openid'), 'must contain openid')
    .default(['openid']),
  tenant: text('must be a tenant id').regex(
    /^[a-z0-9][a-z0-9-]{0,35}$/,
    'must have 1 to 36 lower-case letters, digits and hyphens',
  ),
  claims: z
    .record(z.string(), text('must be the required value of the claim'), 'must be an object')
    .default({}),
  create: z.strictObject({ roles: z.array(z.enum(ROLES, `must be one of ${ROLES.join(', ')}`)) }).optional(),
  trustAmr: z.boolean('must be true or false').default(false),
  maxAge: z.int('must be seconds').min(0, 'must be seconds').optional(),
});

const list = jsonSetting.pipe(z.array(provider, 'must be a list').max(100, 'lists more than 100'));

/** Keeps all other variables, because the variable of a secret is named after the provider's id. */
const schema = z.object({ OIDC_PROVIDERS: list.default([]) }).catchall(z.string().optional());

/** A provider for the accounts of one tenant. */
export interface OidcProvider {
  /** Part of the routes and of the redirect URI. A redirect URI per provider prevents mix-up attacks (RFC 9700 section 4.4). */
  readonly id: string;
  /** The display name. */
  readonly name: string;
  readonly issuer: string;
  readonly clientId: string;
  readonly clientAuth: z.output<typeof provider>['clientAuth'];
  /** The client secret; for `private_key_jwt` the private key, as a JWK with `alg` and an optional `kid`. */
  readonly clientSecret: string;
  readonly scopes: readonly string[];
  readonly tenant: string;
  /** Required claims of the ID token: `hd` for a Google organisation, `tid` for an Entra tenant. */
  readonly claims: Readonly<Record<string, string>>;
  /** The roles of accounts that are created at the first sign-in. Without it, only linked identities can sign in. */
  readonly create?: z.output<typeof provider>['create'];
  /** Whether to accept the `amr` claim: a second factor at the provider then counts here. */
  readonly trustAmr: boolean;
  /** The maximum age of the sign-in at the provider, in seconds. */
  readonly maxAge?: number | undefined;
}

/** @throws InvalidSettings */
export function readOidcProviders(settings: Settings): OidcProvider[] {
  const { OIDC_PROVIDERS: listed, ...others } = settings.section(schema);
  const secretVariable = ({ id }: { id: string }) => `OIDC_SECRET_${id.toUpperCase().replaceAll('-', '_')}`;
  const providers = listed.map((each) => ({
    ...each,
    name: each.name ?? each.id,
    clientSecret: each.clientSecret ?? others[secretVariable(each)] ?? '',
  }));
  const faults = providers.flatMap((each, index) => {
    const fault = faultOf(each, settings.production, secretVariable(each));
    const isDuplicate = providers.findIndex(({ id }) => id === each.id) < index;
    return [fault, isDuplicate && 'has the same id as another provider.']
      .filter((sentence) => typeof sentence === 'string')
      .map((sentence) => `The provider ${each.id} of OIDC_PROVIDERS ${sentence}`);
  });
  if (faults.length) throw new InvalidSettings(faults);
  return providers;
}

function faultOf(
  { issuer, clientAuth, clientSecret, claims }: OidcProvider,
  production: boolean,
  variable: string,
) {
  if (production && !issuer.startsWith('https:')) return 'must have an https issuer in production.';
  if (!clientSecret) return `needs a secret, in ${variable} or as clientSecret.`;
  if (clientAuth === 'private_key_jwt' && !isPrivateJwk(clientSecret))
    return 'needs a private key: a JWK in JSON with alg.';
  if (
    /^https:\/\/login\.microsoftonline\.com\/(common|organizations|consumers)\//.test(issuer) &&
    !claims['tid']
  )
    return 'accepts every organisation. Set claims.tid, or use the issuer of one organisation.';
  return undefined;
}

function isIssuer(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return /^https?:$/.test(url?.protocol ?? '') && !url!.username && !/[?#\s]/.test(text);
}

function isPrivateJwk(text: string): boolean {
  try {
    const key = JSON.parse(text) as JsonWebKey & { alg?: unknown };
    if (typeof key.alg !== 'string' || !importStrongJwk(key)) return false;
    return createPrivateKey({ key, format: 'jwk' }).type === 'private';
  } catch {
    return false;
  }
}

export const oidcLoginConfig = registerAs('oidc-login', () => readOidcProviders(Settings.from(process.env)));
