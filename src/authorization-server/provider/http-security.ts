import { decodeProtectedHeader } from 'jose';
import { errors, type Configuration } from 'oidc-provider';
import type { Settings } from '../../config/settings.js';
import { DerivedKeys } from '../../crypto/derived-keys.js';
import { importStrongJwk } from '../../crypto/public-keys.js';

/**
 * The cookies, all signed. Over HTTPS, prefixes keep a sibling domain and plain HTTP from overwriting them (RFC 6265bis section
 * 4.1.3). Cookies of an interaction have a path of their own, which `__Host-` does not allow.
 */
export function cookies(settings: Settings): Configuration['cookies'] {
  const https = settings.publicUrl.startsWith('https:');
  const cookieName = (prefix: string, name: string) => (https ? `${prefix}${name}` : `${name}-dev`);
  const attributes = { signed: true, httpOnly: true, sameSite: 'lax', secure: https } as const;
  return {
    names: {
      session: cookieName('__Host-', 'oauth-session'),
      interaction: cookieName('__Secure-', 'oauth-interaction'),
      resume: cookieName('__Secure-', 'oauth-resume'),
    },
    // The first key signs. Signatures of the previous APP_SECRET stay valid.
    keys: new DerivedKeys(settings, 'oauth cookies').all.map((key) => key.export().toString('base64url')),
    long: attributes,
    short: attributes,
  };
}

/**
 * Sender-constrained tokens by DPoP (RFC 9449). Every response to a proof carries a nonce. Clients that must bind their tokens
 * must use it, so that their proofs cannot be created in advance.
 */
export const dpop = (settings: Settings): NonNullable<Configuration['features']>['dPoP'] => ({
  enabled: true,
  nonceSecret: new DerivedKeys(settings, 'oauth dpop nonces').current.key.export(),
  requireNonce: (ctx) => {
    // The only hook that is called before oidc-provider verifies a proof.
    if (hasWeakKey(ctx.get('DPoP'))) throw new errors.InvalidDpopProof('the key of the proof is too weak');
    return Boolean(ctx.oidc.client?.dpopBoundAccessTokens);
  },
});

/** False for a proof without a key, which oidc-provider rejects. */
function hasWeakKey(proof: string): boolean {
  try {
    const { jwk } = decodeProtectedHeader(proof);
    return jwk !== undefined && !importStrongJwk(jwk);
  } catch {
    return false;
  }
}

/**
 * Requests to the URLs of clients (`jwks_uri`, `backchannel_logout_uri`), without redirects. In production, the
 * dispatcher of oidc-provider blocks loopback and private addresses (OWASP SSRF Prevention Cheat Sheet). Clients in
 * development need these.
 */
export const outboundRequests = ({ environment }: Settings): Configuration => ({
  fetch: async (url, options) => {
    const { dispatcher, ...init } = options as RequestInit & { dispatcher?: unknown };
    const isProtected = environment === 'production';
    // oidc-provider continues without a dispatcher if it cannot create one.
    if (isProtected && !dispatcher) throw new Error('No protection against server-side request forgery.');
    return fetch(url, { ...init, ...(isProtected && { dispatcher }), redirect: 'error' });
  },
  fetchResponseBodyLimits: { jwks_uri: 64 * 1024, sector_identifier_uri: 64 * 1024 },
});
