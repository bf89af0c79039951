import { registerAs } from '@nestjs/config';
import { z } from 'zod';
import { jsonSetting } from '../config/json.js';
import { InvalidSettings, Settings } from '../config/settings.js';
import { SCOPES } from '../permissions.js';
import { ALGORITHMS } from './remote-jwks.js';

const MAX_ISSUERS = 50;

const text = z.string().min(1).max(255);

const url = (httpsOnly: boolean) =>
  z.url({
    protocol: httpsOnly ? /^https$/ : /^https?$/,
    error: httpsOnly ? 'must be a URL that begins with https:' : 'must be a URL',
  });

const trustedIssuer = (httpsOnly: boolean) =>
  z.strictObject({
    /** `iss`, exactly as in its tokens. */
    issuer: url(httpsOnly),
    /** The `aud` that its tokens must have: this API's identifier at the issuer. */
    audience: text,
    /** The tenant of its accounts. */
    tenant: text,
    /**
     * Maps a token to an account: `claim` names the claim, `ids` maps its values to account ids.
     * Without `ids` the value is the username. `clients` maps the `client_id` of an introspected token without `sub`,
     * which is a client's own, to the id of a machine account.
     */
    accounts: z.strictObject({
      claim: text,
      ids: z.record(text, text).optional(),
      clients: z.record(text, text).optional(),
    }),
    /** The scopes that its tokens may have here. */
    scopes: z.array(z.enum(SCOPES)).min(1),
    algorithms: z.array(z.enum(ALGORITHMS)).min(1),
    /** The `typ` headers of its access tokens; null accepts a token without `typ`. */
    typ: z.array(text.nullable()).min(1).default(['at+jwt']),
    /** Default: the `jwks_uri` of the issuer's metadata. */
    jwks_uri: url(httpsOnly).optional(),
    /** The endpoint that verifies its opaque tokens (RFC 7662), and the credentials for it. */
    introspection: z
      .strictObject({ endpoint: url(httpsOnly), client_id: text, client_secret: text })
      .optional(),
  });

export type TrustedIssuer = z.output<ReturnType<typeof trustedIssuer>>;

/**
 * Reads `OAUTH_ISSUERS`, a JSON list of the issuers whose access tokens this API accepts besides its own.
 *
 * @throws InvalidSettings
 */
export function readTrustedIssuers(settings: Settings): readonly TrustedIssuer[] {
  const schema = z.object({
    OAUTH_ISSUERS: jsonSetting.pipe(z.array(trustedIssuer(settings.production)).max(MAX_ISSUERS)).optional(),
  });
  const { OAUTH_ISSUERS: issuers = [] } = settings.section(schema);
  const names = [`${settings.publicUrl}/oidc`, ...issuers.map(({ issuer }) => issuer)];
  if (new Set(names).size < names.length)
    throw new InvalidSettings(['OAUTH_ISSUERS must list each issuer once, and not this server.']);
  // An opaque token does not name its issuer, and must not be sent to the wrong one.
  if (issuers.filter(({ introspection }) => introspection).length > 1)
    throw new InvalidSettings(['OAUTH_ISSUERS may have introspection for one issuer only.']);
  return issuers;
}

export const trustedIssuersConfig = registerAs('trusted-issuers', () =>
  readTrustedIssuers(Settings.from(process.env)),
);
