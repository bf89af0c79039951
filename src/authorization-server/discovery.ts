import type { Configuration } from 'oidc-provider';

/** The endpoints at which a client may want to show a certificate, below the issuer. */
const WITH_CERTIFICATES = {
  token_endpoint: '/oidc/token',
  introspection_endpoint: '/oidc/token/introspection',
  revocation_endpoint: '/oidc/token/revocation',
  pushed_authorization_request_endpoint: '/oidc/request',
  userinfo_endpoint: '/oidc/me',
};

/** What the metadata say besides what the engine knows: where certificates are asked for (RFC 8705, section 5). */
export function discovery(tlsUrl: string | undefined): Configuration['discovery'] {
  if (!tlsUrl) return {};
  const aliases = Object.entries(WITH_CERTIFICATES).map(([name, path]) => [name, tlsUrl + path]);
  return { mtls_endpoint_aliases: Object.fromEntries(aliases) as Record<string, string> };
}
