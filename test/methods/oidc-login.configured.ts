import type { OidcProvider } from '../../src/methods/oidc-login/oidc-login.config.js';

/** The provider as this application's configuration has it. */
export const configured = (
  issuer: string,
  more: Partial<OidcProvider> & Pick<OidcProvider, 'id'>,
): OidcProvider => ({
  name: more.id,
  issuer,
  clientId: 'atlas',
  clientAuth: 'client_secret_basic',
  clientSecret: 'secret',
  scopes: ['openid'],
  tenant: 'acme',
  claims: {},
  trustAmr: false,
  ...more,
});
