import type { Configuration } from 'oidc-provider';
import type { Settings } from '../config/settings.js';
import { DerivedKeys } from '../crypto/derived-keys.js';

/**
 * Tokens that are bound to a key of the client's (RFC 9449). Every answer to a proof hands out a nonce, for whoever wants to
 * use it. A client that has to bind its tokens has to use one: its proofs cannot be made in advance.
 */
export const dpop = (settings: Settings): NonNullable<Configuration['features']>['dPoP'] => ({
  enabled: true,
  nonceSecret: new DerivedKeys(settings, 'oauth dpop nonces').current.key.export(),
  requireNonce: ({ oidc }) => Boolean(oidc.client?.dpopBoundAccessTokens),
});
