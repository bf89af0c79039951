import { Injectable } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { Strategy } from 'passport-custom';
import { AccessTokensService } from '../../access-tokens/access-tokens.service.js';
import { principalFromToken } from '../../access-tokens/verified-token.js';
import { Challenge } from '../../authentication/challenge.js';
import { tokenFromHeader } from '../../authentication/bearer.js';
import type { AuthRequest } from '../../authentication/request.js';
import type { AuthStrategy } from '../../authentication/method.js';
import type { Principal } from '../../authentication/principal.js';
import { SCHEME, challengeParams } from './oauth.js';

@Injectable()
export class OauthStrategy extends PassportStrategy(Strategy, 'oauth') implements AuthStrategy {
  readonly namesRequirement = true;
  readonly challenge: Challenge;

  constructor(private readonly tokens: AccessTokensService) {
    super();
    this.challenge = new Challenge(SCHEME, challengeParams(tokens.metadataUrl));
  }

  /** A bearer token in the Authorization header that is opaque, or a JWT of an accepted issuer. */
  claims(request: AuthRequest): boolean {
    const token = tokenFromHeader(request, SCHEME);
    return token !== undefined && this.tokens.claims(token);
  }

  async validate(request: AuthRequest): Promise<Principal> {
    const token = await this.tokens.verify(tokenFromHeader(request, SCHEME) ?? '', request);
    return principalFromToken('oauth', token);
  }
}
