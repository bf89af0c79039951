import { Injectable } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { Strategy } from 'passport-custom';
import { AccessTokensService, principalFromToken } from '../../access-tokens/index.js';
import {
  Challenge,
  tokenFromHeader,
  type AuthRequest,
  type AuthStrategy,
  type Principal,
} from '../../authentication/index.js';
import { SCHEME, challengeParams } from './oauth.js';

@Injectable()
export class OauthStrategy extends PassportStrategy(Strategy, 'oauth') implements AuthStrategy {
  readonly namesRequirement = true;
  readonly challenge: Challenge;

  constructor(private readonly tokens: AccessTokensService) {
    super();
    this.challenge = new Challenge(SCHEME, challengeParams(tokens.metadataUrl));
  }

  /** A Bearer token that names an issuer which is trusted here, or an opaque one. In the header, and nowhere else. */
  claims(request: AuthRequest): boolean {
    const token = tokenFromHeader(request, SCHEME);
    return token !== undefined && this.tokens.knows(token);
  }

  async validate(request: AuthRequest): Promise<Principal> {
    return principalFromToken(
      'oauth',
      await this.tokens.verify(tokenFromHeader(request, SCHEME) ?? '', request),
    );
  }
}
