import { Injectable } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { Strategy } from 'passport-custom';
import {
  BadCredential,
  Challenge,
  type AuthRequest,
  type AuthStrategy,
  type Principal,
} from '../../authentication/index.js';
import { PasswordsService } from '../../passwords/index.js';
import { principalOf } from '../../users/index.js';
import { parseBasic, speaksBasic } from './basic.js';

@Injectable()
export class BasicStrategy extends PassportStrategy(Strategy, 'basic') implements AuthStrategy {
  readonly challenge = new Challenge('Basic', { realm: 'auth-atlas', charset: 'UTF-8' });
  readonly sendsSecret = true;

  constructor(private readonly passwords: PasswordsService) {
    super();
  }

  claims(request: AuthRequest): boolean {
    return speaksBasic(request.header('Authorization') ?? '');
  }

  async validate(request: AuthRequest): Promise<Principal> {
    const { username, password } = parseBasic(request.header('Authorization') ?? '');
    const user = await this.passwords.verify(username, password, request.ip);
    const proof = { method: 'basic', at: new Date(), amr: ['pwd'], bound: false } as const;
    return principalOf(user, proof, (reason) => new BadCredential('invalid_credentials', reason));
  }
}
