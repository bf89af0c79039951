import { errors, type Configuration } from 'oidc-provider';

/** Seconds. */
const AN_HOUR = 3_600;

/** Signed authorization requests (RFC 9101): what stands beside the object does not count. */
export const requestObjects: NonNullable<Configuration['features']>['requestObjects'] = {
  enabled: true,
  assertJwtClaimsAndHeader(_ctx, { aud, exp, nbf, iat }) {
    const now = Math.floor(Date.now() / 1000);
    const begins = typeof nbf === 'number' ? nbf : typeof iat === 'number' ? iat : now;
    if (aud === undefined) throw refused('it names no audience');
    if (typeof exp !== 'number') throw refused('it never expires');
    if (begins < now - AN_HOUR) throw refused('it is older than an hour');
    if (exp - begins > AN_HOUR) throw refused('it lives for more than an hour');
  },
};

const refused = (reason: string) => new errors.InvalidRequestObject(reason);
