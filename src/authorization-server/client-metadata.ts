import { errors, type Configuration } from 'oidc-provider';
import { isScope } from '../permissions.js';

const isText = (value: unknown): value is string => typeof value === 'string';

/** Client metadata of our own: what each is, and what it may be. */
const KNOWN: Readonly<Record<string, readonly [what: string, fits: (value: unknown) => boolean]>> = {
  resource_scopes: [
    'the scopes of the API that it may ask for, separated by spaces',
    (value) => isText(value) && (value === '' || value.split(' ').every(isScope)),
  ],
  access_token_format: ['jwt or opaque', (value) => value === 'jwt' || value === 'opaque'],
  /** For a resource server: the audiences whose tokens it may ask about. */
  audiences: ['a list of audiences', (value) => Array.isArray(value) && value.every(isText)],
  /** For a service: the clients whose tokens it may exchange for its own (RFC 8693). */
  exchanges: ['client ids, separated by spaces', isText],
  security_profile: ['fapi-2.0', (value) => value === 'fapi-2.0'],
};

export const clientMetadata: Configuration['extraClientMetadata'] = {
  properties: Object.keys(KNOWN),
  validator(_ctx, key, value) {
    const [what, fits] = KNOWN[key]!;
    if (value !== undefined && !fits(value)) throw new errors.InvalidClientMetadata(`${key} must be ${what}`);
  },
};

/** The clients that run under the FAPI 2.0 Security Profile. */
export const fapi: NonNullable<Configuration['features']>['fapi'] = {
  enabled: true,
  profile: (_ctx, client) => (client['security_profile'] === 'fapi-2.0' ? '2.0' : undefined),
};
