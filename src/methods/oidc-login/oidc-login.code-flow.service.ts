import { Injectable } from '@nestjs/common';
import {
  authorizationCodeGrant,
  buildAuthorizationUrl,
  calculatePKCECodeChallenge,
  type IDToken,
} from 'openid-client';
import { BadCredential } from '../../authentication/challenge.js';
import type { OidcProvider } from './oidc-login.config.js';
import { callbackError, providerError } from './oidc-login.errors.js';
import type { PendingAuthorization } from './oidc-login.js';
import { OidcProviders } from './oidc-login.providers.service.js';

/** The authorization code flow: builds authorization requests and redeems codes for ID tokens. */
@Injectable()
export class AuthorizationCodeFlow {
  constructor(private readonly providers: OidcProviders) {}

  /** @throws HttpException `provider_unavailable`, `provider_error` */
  async authorizationUrl(
    provider: OidcProvider,
    { state, nonce, verifier }: PendingAuthorization,
  ): Promise<URL> {
    const { configuration } = await this.providers.discover(provider);
    const parameters = {
      redirect_uri: this.providers.redirectUri(provider),
      scope: provider.scopes.join(' '),
      state,
      nonce,
      code_challenge: await calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      ...(provider.maxAge !== undefined && { max_age: String(provider.maxAge) }),
    };
    try {
      return buildAuthorizationUrl(configuration, parameters);
    } catch (error) {
      throw providerError(error, provider);
    }
  }

  /**
   * Redeems the code and validates the ID token. Does not call the userinfo endpoint: `iss` and `sub` of the ID token
   * suffice.
   *
   * @param query the callback's query
   * @throws BadCredential `invalid_identity` for an invalid code or ID token
   * @throws HttpException `access_denied`, `provider_unavailable`, `provider_error`
   */
  async redeemCode(
    provider: OidcProvider,
    query: URLSearchParams,
    { state, nonce, verifier }: PendingAuthorization,
  ): Promise<IDToken> {
    const { configuration } = await this.providers.discover(provider);
    // The library sends this URL, without its query, as `redirect_uri`. It must be the registered one.
    const callbackUrl = new URL(this.providers.redirectUri(provider));
    callbackUrl.search = query.toString();
    try {
      const tokens = await authorizationCodeGrant(configuration, callbackUrl, {
        expectedState: state,
        expectedNonce: nonce,
        pkceCodeVerifier: verifier,
        idTokenExpected: true,
        ...(provider.maxAge !== undefined && { maxAge: provider.maxAge }),
      });
      const claims = tokens.claims()!;
      assertClaims(claims, provider);
      return claims;
    } catch (error) {
      throw callbackError(error, provider);
    }
  }
}

/** The checks that the library leaves to its callers. */
function assertClaims(claims: IDToken, { clientId, claims: required }: OidcProvider): void {
  const invalid = (reason: string) => new BadCredential('invalid_identity', reason);
  // At most 255 ASCII characters, compared exactly (OpenID Connect Core 1.0 section 2).
  if (!/^[\x20-\x7e]{1,255}$/.test(claims.sub)) throw invalid('sub is not 1 to 255 ASCII characters');
  if (claims.iss.length > 255) throw invalid('iss is too long');
  if (claims.azp !== undefined && claims.azp !== clientId) throw invalid('azp is another client');
  for (const [name, value] of Object.entries(required))
    if (claims[name] !== value) throw invalid(`the claim ${name} differs from the configuration`);
}
