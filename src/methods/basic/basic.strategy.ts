import { Injectable } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { Strategy } from 'passport-custom';
import { BadCredential, Challenge } from '../../authentication/challenge.js';
import { rejectCrossSiteWrite, type AuthRequest } from '../../authentication/request.js';
import { FACTORS } from '../../authentication/factors.js';
import type { AuthStrategy } from '../../authentication/method.js';
import type { Principal } from '../../authentication/principal.js';
import { Settings } from '../../config/settings.js';
import { PasswordsService } from '../../passwords/passwords.service.js';
import { isBasic, parseBasic } from './basic.js';
import { principalOf } from '../../users/user.entity.js';

@Injectable()
export class BasicStrategy extends PassportStrategy(Strategy, 'basic') implements AuthStrategy {
  readonly challenge = new Challenge('Basic', { realm: 'auth-atlas', charset: 'UTF-8' });
  readonly sendsSecret = true;

  constructor(
    private readonly passwords: PasswordsService,
    private readonly settings: Settings,
  ) {
    super();
  }

  claims(request: AuthRequest): boolean {
    return isBasic(request.header('Authorization') ?? '');
  }

  async validate(request: AuthRequest): Promise<Principal> {
    rejectCrossSiteWrite(request, (origin) => this.settings.isOwnOrigin(origin));
    const { username, password } = parseBasic(request.header('Authorization') ?? '');
    const user = await this.passwords.verify(username, password, request.ip);
    const proof = {
      method: 'basic',
      at: new Date(),
      amr: FACTORS.basic.amr,
      bound: false,
      signIn: true,
    } as const;
    return principalOf(user, proof, (reason) => new BadCredential('invalid_credentials', reason));
  }
}
