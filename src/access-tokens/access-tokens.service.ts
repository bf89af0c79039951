import { Injectable } from '@nestjs/common';
import { createHash } from 'node:crypto';
import { unverifiedIssuer } from '../authentication/bearer.js';
import { tlsCertificate } from '../authentication/client-certificate.js';
import type { AuthRequest } from '../authentication/request.js';
import { Settings } from '../config/settings.js';
import type { Claims } from './access-token-claims.js';
import { TrustedIssuerTokens } from './trusted-issuer-tokens.service.js';
import { OwnTokens } from './local-issuer-tokens.service.js';
import { invalidToken, verified, type VerifiedToken } from './verified-token.js';

/** Random enough to be a token, in the letters of a bearer token (RFC 6750, section 2.1), and no JWT: without dots. */
const OPAQUE = /^[\w~+/-]{20,512}={0,2}$/;

/** The one verifier of access tokens, whoever has issued them, and whichever scheme they came under. */
@Injectable()
export class AccessTokensService {
  /** Where a client learns what this API takes (RFC 9728): a 401 says it. */
  readonly metadataUrl: string;

  constructor(
    private readonly own: OwnTokens,
    private readonly foreign: TrustedIssuerTokens,
    private readonly settings: Settings,
  ) {
    this.metadataUrl = `${settings.publicUrl}/.well-known/oauth-protected-resource`;
  }

  /** Is this a token of an issuer that we know? Looks only at its shape, and believes nothing. */
  knows(token: string): boolean {
    if (OPAQUE.test(token)) return true;
    const issuer = unverifiedIssuer(token);
    return issuer === this.own.issuer || this.foreign.knows(issuer);
  }

  /**
   * Everything that there is to ask of a token, the account that it speaks for included.
   *
   * @param key the thumbprint (RFC 7638) of the DPoP key that the request has proved to hold: the token must be bound to
   *   that one (RFC 9449, section 7.1). Without a key it came as a plain bearer's, and may be bound to none.
   * @throws BadCredential `invalid_token`
   * @throws ServiceUnavailableException where another issuer would have to be asked, and does not answer
   * @throws BadRequestException where the request shows two certificates
   */
  async verify(token: string, request: AuthRequest, key?: string): Promise<VerifiedToken> {
    const found = OPAQUE.test(token) ? await this.opaque(token) : await this.jwt(token);
    if (!found) throw invalidToken('nobody knows it');
    const [source, claims] = found;
    const fault = this.bindingFault(claims.cnf ?? {}, request, key);
    if (fault) throw invalidToken(`${fault}: ${source.credentialId}`).ofAccount(source.account);
    return verified(source, claims);
  }

  private async opaque(token: string) {
    return (await this.own.opaque(token)) ?? this.foreign.opaque(token);
  }

  private jwt(token: string) {
    return unverifiedIssuer(token) === this.own.issuer ? this.own.jwt(token) : this.foreign.jwt(token);
  }

  private bindingFault(
    { jkt, 'x5t#S256': x5t }: NonNullable<Claims['cnf']>,
    request: AuthRequest,
    key: string | undefined,
  ): string | undefined {
    if (jkt !== key)
      return jkt ? 'bound to another key than was proved' : 'not bound to the key that was proved';
    if (x5t === undefined) return undefined;
    const shown = tlsCertificate(request, (address) => this.settings.trusts(address));
    const thumbprint = shown && createHash('sha256').update(shown.raw).digest('base64url');
    return thumbprint === x5t ? undefined : 'bound to another certificate than was shown';
  }
}
