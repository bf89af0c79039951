import { Injectable } from '@nestjs/common';
import { BadCredential } from '../../authentication/challenge.js';
import type { AuthRequest } from '../../authentication/request.js';
import { FACTORS } from '../../authentication/factors.js';
import type { MethodName } from '../../authentication/principal.js';
import { PasswordsService } from '../../passwords/passwords.service.js';
import { SignInService } from '../../users/sign-in.service.js';
import type { User } from '../../users/user.entity.js';

export interface PasswordLogin {
  readonly username: string;
  readonly password: string;
  /** Limits the issued credential. */
  readonly scopes?: readonly string[];
  /** The path to which a page goes after the sign-in. */
  readonly returnTo?: string | undefined;
}

@Injectable()
export class PasswordLoginService {
  constructor(
    private readonly passwords: PasswordsService,
    private readonly signIns: SignInService,
  ) {}

  /**
   * Verifies a password, and completes the sign-in or starts its second step.
   * @param as the method of the issuer
   * @returns the body of the issuer's response
   * @throws MfaRequired
   * @throws Unauthenticated `invalid_credentials` with the challenge of the issuer's method
   */
  async signIn(
    { username, password, scopes, returnTo }: PasswordLogin,
    as: MethodName,
    request: AuthRequest,
  ): Promise<object> {
    const at = new Date();
    // The account's epoch is read together with the hash. If the password has changed since, the new credential is invalid.
    const user = await this.verify(username, password, as, request.ip);
    const { amr } = FACTORS.password;
    return this.signIns.complete({ user, method: 'password', at, amr, as, scopes, returnTo }, request);
  }

  private async verify(username: string, password: string, as: MethodName, ip: string): Promise<User> {
    try {
      return await this.passwords.verify(username, password, ip);
    } catch (error) {
      throw error instanceof BadCredential ? await this.signIns.rejection(error, as, 'password') : error;
    }
  }
}
