import type { KoaContextWithOIDC } from 'oidc-provider';
import { exchangedFor } from './grants/exchanged-for.js';

/**
 * What an access token says besides what every one says: when and how the account has signed in (RFC 9068, section 2.2.1). An
 * exchanged token says what the one before said, and who acts for the account (RFC 8693, section 4.1).
 */
export function tokenClaims({ oidc }: KoaContextWithOIDC): Record<string, unknown> | undefined {
  const exchange = exchangedFor.getStore();
  if (exchange) return { ...exchange.token.content.extra, act: exchange.act };
  const { AuthorizationCode, DeviceCode, BackchannelAuthenticationRequest, RefreshToken } = oidc.entities;
  const source = AuthorizationCode ?? DeviceCode ?? BackchannelAuthenticationRequest ?? RefreshToken;
  if (!source) return undefined;
  const { authTime: auth_time, acr, amr } = source;
  return { ...(auth_time && { auth_time }), ...(acr && { acr }), ...(amr && { amr }) };
}
