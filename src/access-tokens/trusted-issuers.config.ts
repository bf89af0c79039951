import { z } from 'zod';
import { InvalidSettings, type Settings } from '../config/settings.js';
import { jsonSetting } from '../config/json.js';
import { ALGORITHMS } from './remote-jwks.js';
import { SCOPES } from '../permissions.js';

const text = z.string().min(1).max(255);

const url = (secure: boolean) =>
  z.url({
    protocol: secure ? /^https$/ : /^https?$/,
    error: secure ? 'must be a URL that begins with https:' : 'must be a URL',
  });

const issuer = (secure: boolean) =>
  z.strictObject({
    /** Exactly what its tokens say. */
    issuer: url(secure),
    /** What its tokens must be meant for: this API's name there. */
    audience: text,
    tenant: text,
    /**
     * Whose a token is: the value of a claim, which is looked up here among the ids of accounts. Without a list it is the
     * name of a user of the tenant.
     */
    accounts: z.strictObject({ claim: text, ids: z.record(text, text).optional() }),
    /** What its tokens reach at the most. */
    scopes: z.array(z.enum(SCOPES)).min(1),
    algorithms: z.array(z.enum(ALGORITHMS)).min(1),
    /** The types of JWT that are access tokens there; null for a token that names none. */
    typ: z.array(text.nullable()).min(1).default(['at+jwt']),
    /** Absent: its metadata says where its keys are. */
    jwks_uri: url(secure).optional(),
    /** Where its opaque tokens are asked after (RFC 7662), and who is asking. */
    introspection: z.strictObject({ endpoint: url(secure), client_id: text, client_secret: text }).optional(),
  });

export type TrustedIssuer = z.output<ReturnType<typeof issuer>>;

/**
 * Whose tokens are taken besides our own: `OAUTH_ISSUERS`, a list in JSON. How its issuers identify a CI job or a machine is
 * theirs; which account that is here is said in this list.
 *
 * @throws BadSettings with a sentence for each fault
 */
export function trustedIssuers(settings: Settings): readonly TrustedIssuer[] {
  const schema = z.object({
    OAUTH_ISSUERS: jsonSetting.pipe(z.array(issuer(settings.production)).max(50)).optional(),
  });
  const { OAUTH_ISSUERS: issuers = [] } = settings.section(schema);
  const names = [`${settings.publicUrl}/oidc`, ...issuers.map((each) => each.issuer)];
  if (new Set(names).size < names.length)
    throw new InvalidSettings(['OAUTH_ISSUERS must list each issuer once, and not this server.']);
  // An opaque token does not say whose it is, and nobody may see another's.
  if (issuers.filter(({ introspection }) => introspection).length > 1)
    throw new InvalidSettings(['OAUTH_ISSUERS may ask one issuer alone after opaque tokens.']);
  return issuers;
}
