import { errors, type Configuration } from 'oidc-provider';

/** Seconds. An assertion is remembered for an hour, so that it is good once; none may live as long as that. */
const LONGEST_ASSERTION = 600;

/** How clients say who they are (OpenID Connect Core 1.0, section 9; RFC 7523; RFC 8705). */
export const clientAuthentication: Configuration = {
  clientAuthMethods: [
    'none',
    'client_secret_basic',
    'client_secret_post',
    'client_secret_jwt',
    'private_key_jwt',
    'tls_client_auth',
    'self_signed_tls_client_auth',
  ],
  /**
   * The one audience is the issuer: an assertion that names an endpoint could have been asked for by another server, which
   * says that its endpoint is ours.
   */
  assertJwtClientAuthClaimsAndHeader(ctx, { aud, exp }) {
    if (aud !== ctx.oidc.issuer) throw refused('its audience is not the issuer alone');
    if (typeof exp !== 'number' || exp > Date.now() / 1000 + LONGEST_ASSERTION)
      throw refused('it lives too long');
  },
};

const refused = (reason: string) => new errors.InvalidClientAuth(reason);
