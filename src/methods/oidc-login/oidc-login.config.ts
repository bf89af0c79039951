import { createPrivateKey, type JsonWebKey } from 'node:crypto';
import { z } from 'zod';
import { InvalidSettings, type Settings } from '../../config/settings.js';
import { jsonSetting } from '../../config/json.js';
import { ROLES } from '../../permissions.js';

const text = (message: string, most = 255) =>
  z.string(message).min(1, message).max(most, `has more than ${most} characters`);

const provider = z.strictObject({
  id: text('must be given').regex(
    /^[a-z][a-z0-9-]{0,23}$/,
    'must have 1 to 24 lower-case letters, digits and hyphens, and begin with a letter',
  ),
  name: text('must be what people call the provider', 100).optional(),
  issuer: text('must be the issuer').refine(isIssuer, 'must be a URL without query and fragment'),
  clientId: text('must be the id that the provider gave this application'),
  clientAuth: z
    .enum(
      ['client_secret_basic', 'client_secret_post', 'private_key_jwt'],
      'must be client_secret_basic, client_secret_post or private_key_jwt',
    )
    .default('client_secret_basic'),
  clientSecret: text('must be the secret, or be left out', 10_000).optional(),
  scopes: z
    .array(text('must be a scope').regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, 'is not a scope'), 'must be a list')
    .refine((scopes) => scopes.includes('openid'), 'must name openid')
    .default(['openid']),
  tenant: text('must be the tenant whose accounts it opens').regex(
    /^[a-z0-9][a-z0-9-]{0,35}$/,
    'must have 1 to 36 lower-case letters, digits and hyphens',
  ),
  claims: z.record(z.string(), text('must be what the claim has to be'), 'must be an object').default({}),
  create: z.strictObject({ roles: z.array(z.enum(ROLES, `must be one of ${ROLES.join(', ')}`)) }).optional(),
  trustAmr: z.boolean('must be true or false').default(false),
  maxAge: z.int('must be seconds').min(0, 'must be seconds').optional(),
});

const list = jsonSetting.pipe(z.array(provider, 'must be a list').max(100, 'lists more than 100'));

/** Every other variable as well: the secrets have names of the providers' own. */
const schema = z.object({ OIDC_PROVIDERS: list.default([]) }).catchall(z.string().optional());

/** A provider at which the accounts of one tenant sign in. */
export interface Provider {
  /** In the routes, and in the redirect URI: each provider has its own, so that none is taken for another. */
  readonly id: string;
  /** What people call it. */
  readonly name: string;
  readonly issuer: string;
  readonly clientId: string;
  readonly clientAuth: z.output<typeof provider>['clientAuth'];
  /** A secret; of `private_key_jwt`, the private key as a JWK with `alg`, and `kid` where the provider wants one. */
  readonly clientSecret: string;
  readonly scopes: readonly string[];
  readonly tenant: string;
  /** What the ID token must say besides: `hd` of a Google organisation, `tid` of an Entra tenant. */
  readonly claims: Readonly<Record<string, string>>;
  /** Somebody whom no account knows gets a new one with these roles; without it, only accounts that are linked sign in. */
  readonly create?: z.output<typeof provider>['create'];
  /** Whether its word on how the person signed in counts: a second factor there is one here. */
  readonly trustAmr: boolean;
  /** How long ago the person may have signed in there, in seconds. */
  readonly maxAge?: number | undefined;
}

/** @throws BadSettings with a sentence for each fault */
export function oidcProviders(settings: Settings): Provider[] {
  const { OIDC_PROVIDERS: listed, ...others } = settings.section(schema);
  const secretIn = ({ id }: { id: string }) => `OIDC_SECRET_${id.toUpperCase().replaceAll('-', '_')}`;
  const providers = listed.map((each) => ({
    ...each,
    name: each.name ?? each.id,
    clientSecret: each.clientSecret ?? others[secretIn(each)] ?? '',
  }));
  const faults = providers.flatMap((each, index) => {
    const fault = faultOf(each, settings.production, secretIn(each));
    const again = providers.findIndex(({ id }) => id === each.id) < index;
    return [fault, again && 'has the id of another.']
      .filter((sentence) => typeof sentence === 'string')
      .map((sentence) => `The provider ${each.id} of OIDC_PROVIDERS ${sentence}`);
  });
  if (faults.length) throw new InvalidSettings(faults);
  return providers;
}

function faultOf(
  { issuer, clientAuth, clientSecret, claims }: Provider,
  production: boolean,
  variable: string,
) {
  if (production && !issuer.startsWith('https:'))
    return 'must have an issuer that begins with https: in production.';
  if (!clientSecret) return `needs its secret, in ${variable} or as clientSecret.`;
  if (clientAuth === 'private_key_jwt' && !isPrivateJwk(clientSecret))
    return 'needs a private key: a JWK in JSON, with its alg.';
  if (
    /^https:\/\/login\.microsoftonline\.com\/(common|organizations|consumers)\//.test(issuer) &&
    !claims['tid']
  )
    return 'opens to every organisation there is: say which one by claims.tid, or better by an issuer of its own.';
  return undefined;
}

function isIssuer(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return /^https?:$/.test(url?.protocol ?? '') && !url!.username && !/[?#\s]/.test(text);
}

function isPrivateJwk(text: string): boolean {
  try {
    const key = JSON.parse(text) as JsonWebKey & { alg?: unknown };
    return typeof key.alg === 'string' && createPrivateKey({ key, format: 'jwk' }).type === 'private';
  } catch {
    return false;
  }
}
