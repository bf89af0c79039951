import { Injectable } from '@nestjs/common';
import { hash } from 'node:crypto';
import { unverifiedIssuer } from '../authentication/bearer.js';
import { tlsCertificate } from '../authentication/client-certificate.js';
import type { AuthRequest } from '../authentication/request.js';
import { Settings } from '../config/settings.js';
import type { AccessTokenClaims } from './access-token-claims.js';
import { LocalIssuerTokens } from './local-issuer-tokens.service.js';
import { TrustedIssuerTokens } from './trusted-issuer-tokens.service.js';
import { invalidToken, toVerifiedToken, type ResolvedToken, type VerifiedToken } from './verified-token.js';

/** The characters of a bearer token (RFC 6750 section 2.1) without the dot, which marks a JWT. */
const OPAQUE_TOKEN = /^[\w~+/-]{20,512}={0,2}$/;

/** Verifies access tokens: JWT and opaque, of this server and of trusted issuers, for every authentication scheme. */
@Injectable()
export class AccessTokensService {
  /** The protected resource metadata (RFC 9728). The challenge of a 401 contains this URL. */
  readonly metadataUrl: string;

  constructor(
    private readonly localTokens: LocalIssuerTokens,
    private readonly trustedTokens: TrustedIssuerTokens,
    private readonly settings: Settings,
  ) {
    this.metadataUrl = `${settings.publicUrl}/.well-known/oauth-protected-resource`;
  }

  /** Whether a token is opaque, or a JWT of an accepted issuer. Reads its form only and verifies nothing. */
  claims(token: string): boolean {
    if (OPAQUE_TOKEN.test(token)) return true;
    const issuer = unverifiedIssuer(token);
    return issuer === this.localTokens.issuer || this.trustedTokens.trusts(issuer);
  }

  /**
   * Verifies a token, its account and its binding to a key or certificate.
   *
   * @param key the JWK thumbprint (RFC 7638) of the request's DPoP key. The token must be bound to this key
   *   (RFC 9449 section 7.1). Without a key, the token must not be bound to one.
   * @throws BadCredential `invalid_token`
   * @throws ServiceUnavailableException if a trusted issuer cannot be reached
   * @throws BadRequestException if the request contains two client certificates
   */
  async verify(token: string, request: AuthRequest, key?: string): Promise<VerifiedToken> {
    const resolved = await this.resolve(token);
    if (!resolved) throw invalidToken('unknown opaque token');
    const fault = this.bindingFault(resolved.claims.cnf ?? {}, request, key);
    if (fault) throw invalidToken(`${fault}: ${resolved.credentialId}`).ofAccount(resolved.account);
    return toVerifiedToken(resolved);
  }

  private async resolve(token: string): Promise<ResolvedToken | undefined> {
    if (OPAQUE_TOKEN.test(token))
      return (await this.localTokens.opaque(token)) ?? this.trustedTokens.opaque(token);
    if (unverifiedIssuer(token) === this.localTokens.issuer) return this.localTokens.jwt(token);
    return this.trustedTokens.jwt(token);
  }

  private bindingFault(
    { jkt, 'x5t#S256': x5t }: NonNullable<AccessTokenClaims['cnf']>,
    request: AuthRequest,
    key: string | undefined,
  ): string | undefined {
    if (jkt !== key) return jkt ? 'bound to another DPoP key' : 'not bound to the DPoP key of the request';
    if (x5t === undefined) return undefined;
    const certificate = tlsCertificate(request, (address) => this.settings.trusts(address));
    const thumbprint = certificate && hash('sha256', certificate.raw, 'base64url');
    return thumbprint === x5t ? undefined : 'bound to another client certificate';
  }
}
