/**
 * An OAuth 2.0 access token on its way to a resource server (RFC 6750):
 *
 *     GET /documents HTTP/1.1
 *     Authorization: Bearer eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6Ii4uLiJ9.eyJpc3MiOi...
 *
 * and the answer to whoever has none, from which a client finds all the rest (RFC 9728, section 5.1):
 *
 *     HTTP/1.1 401 Unauthorized
 *     WWW-Authenticate: Bearer realm="auth-atlas",
 *       resource_metadata="https://api.example.com/.well-known/oauth-protected-resource"
 */
export const SCHEME = 'Bearer';

/** What a Bearer challenge says, besides the realm, to a caller who comes without a token. */
export const challengeParams = (metadataUrl: string) => ({
  realm: 'auth-atlas',
  resource_metadata: metadataUrl,
});
