/**
 * An OAuth 2.0 access token in a request to a resource server (RFC 6750 section 2.1):
 *
 *     GET /documents HTTP/1.1
 *     Authorization: Bearer eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6Ii4uLiJ9.eyJpc3MiOi...
 *
 * The response to a request without one points to the API's metadata (RFC 9728 section 5.1):
 *
 *     HTTP/1.1 401 Unauthorized
 *     WWW-Authenticate: Bearer realm="auth-atlas",
 *       resource_metadata="https://api.example.com/.well-known/oauth-protected-resource"
 */
export const SCHEME = 'Bearer';

/** The parameters of the `Bearer` challenge. */
export const challengeParams = (metadataUrl: string) => ({
  realm: 'auth-atlas',
  resource_metadata: metadataUrl,
});
