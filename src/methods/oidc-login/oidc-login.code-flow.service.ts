import { Injectable } from '@nestjs/common';
import {
  authorizationCodeGrant,
  buildAuthorizationUrl,
  calculatePKCECodeChallenge,
  type Configuration,
  type IDToken,
} from 'openid-client';
import { BadCredential } from '../../authentication/challenge.js';
import type { Provider } from './oidc-login.config.js';
import { failureOf, refusalOf } from './oidc-login.errors.js';
import type { Transaction } from './oidc-login.js';
import { Providers } from './oidc-login.providers.service.js';

/** Speaks with a provider: through the browser on the way there, by itself on the way back. */
@Injectable()
export class Exchange {
  constructor(private readonly providers: Providers) {}

  /** @throws HttpException `provider_unavailable`, `provider_error` */
  async configurationOf(provider: Provider): Promise<Configuration> {
    try {
      return await this.providers.configurationOf(provider);
    } catch (error) {
      throw failureOf(error, provider);
    }
  }

  /**
   * Where the browser is to go.
   * @throws HttpException `provider_unavailable`, `provider_error`
   */
  async authorizationUrl(provider: Provider, { state, nonce, verifier }: Transaction): Promise<URL> {
    const configuration = await this.configurationOf(provider);
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
      throw failureOf(error, provider);
    }
  }

  /**
   * Hands in the code, and holds the ID token that comes for it against the transaction. The userinfo endpoint is not
   * asked: the token says who it is, and nothing else matters here.
   *
   * @param query of the provider's answer
   * @throws BadCredential `invalid_identity` for a code or a token that is no good
   * @throws HttpException `access_denied`, `provider_unavailable`, `provider_error`
   */
  async claimsOf(
    provider: Provider,
    query: URLSearchParams,
    { state, nonce, verifier }: Transaction,
  ): Promise<IDToken> {
    const configuration = await this.configurationOf(provider);
    // Its own redirect URI, whichever way the path was written: the library sends it along with the code.
    const answer = new URL(this.providers.redirectUri(provider));
    answer.search = query.toString();
    try {
      const tokens = await authorizationCodeGrant(configuration, answer, {
        expectedState: state,
        expectedNonce: nonce,
        pkceCodeVerifier: verifier,
        idTokenExpected: true,
        ...(provider.maxAge !== undefined && { maxAge: provider.maxAge }),
      });
      return checked(tokens.claims()!, provider);
    } catch (error) {
      throw refusalOf(error, provider);
    }
  }
}

/** What the library leaves to whoever uses it. */
function checked(claims: IDToken, { clientId, claims: wanted }: Provider): IDToken {
  const refuse = (reason: string) => new BadCredential('invalid_identity', reason);
  // 255 ASCII characters at the most (OpenID Connect Core 1.0, section 2), and compared as they are.
  if (!/^[\x20-\x7e]{1,255}$/.test(claims.sub)) throw refuse('sub is not 1 to 255 ASCII characters');
  if (claims.iss.length > 255) throw refuse('iss is too long');
  if (claims.azp !== undefined && claims.azp !== clientId) throw refuse('azp is another client');
  for (const [name, value] of Object.entries(wanted))
    if (claims[name] !== value) throw refuse(`the claim ${name} is not what it has to be`);
  return claims;
}
