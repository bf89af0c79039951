import { errors, type Configuration } from 'oidc-provider';

/** Seconds. */
const AN_HOUR = 3_600;

/** Signed authorization requests (RFC 9101): what stands beside the object does not count. */
export const requestObjects: NonNullable<Configuration['features']>['requestObjects'] = {
  enabled: true,
  assertJwtClaimsAndHeader(_ctx, { aud, exp, nbf, iat }) {
    const begins = typeof nbf === 'number' ? nbf : typeof iat === 'number' ? iat : Date.now() / 1000;
    if (aud === undefined) throw refused('it names no audience');
    if (typeof exp !== 'number') throw refused('it never expires');
    if (exp - begins > AN_HOUR) throw refused('it lives for more than an hour');
  },
};

const refused = (reason: string) => new errors.InvalidRequestObject(reason);
