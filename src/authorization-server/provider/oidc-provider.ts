/**
 * The parts of oidc-provider that its hooks need. The whole library is loaded by the first request of the authorization
 * server, because it has more than 200 files: see `OidcProviderFactory`.
 */
import type * as OidcProvider from 'oidc-provider';
// @ts-expect-error -- it has no types
import requestStorage from 'oidc-provider/lib/helpers/als.js';
// @ts-expect-error -- it has no types
import * as libraryErrors from 'oidc-provider/lib/helpers/errors.js';

export const errors = libraryErrors as typeof OidcProvider.errors;

/** `Provider.ctx`: undefined outside of oidc-provider's own request handler. */
export const providerContext = () =>
  (requestStorage as { getStore: () => typeof OidcProvider.Provider.ctx }).getStore();

/** The library is loaded when a grant is handled, so this waits for nothing. */
export const grantHelpers = () => import('oidc-provider/lib/helpers/grants.js');
