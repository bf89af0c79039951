import { Injectable } from '@nestjs/common';
import { Authenticator } from '../../authentication/authenticator.js';
import { BadCredential } from '../../authentication/challenge.js';
import type { AuthRequest } from '../../authentication/request.js';
import type { Issuer } from '../../authentication/method.js';
import type { MethodName } from '../../authentication/principal.js';
import { AuditPort } from '../../authentication/ports.js';
import { PasswordsService } from '../../passwords/passwords.service.js';
import { principalOf } from '../../users/principal-of.js';
import type { User } from '../../users/user.entity.js';

/** Who signs in, and what they want to have of it. */
export interface Wanted {
  readonly username: string;
  readonly password: string;
  readonly scopes?: readonly string[];
}

@Injectable()
export class PasswordLogin {
  constructor(
    private readonly passwords: PasswordsService,
    private readonly authenticator: Authenticator,
    private readonly audit: AuditPort,
  ) {}

  /**
   * @param as the name of the issuer's method
   * @returns the issuer's body
   * @throws Unauthenticated `invalid_credentials` with the challenge of the issuer's method
   */
  async signIn(
    { username, password, scopes }: Wanted,
    as: MethodName,
    issuer: Issuer,
    request: AuthRequest,
  ): Promise<object> {
    const at = new Date();
    const user = await this.verified(username, password, as, request.ip);
    const proof = { method: 'password', at, amr: ['pwd'], bound: false } as const;
    const principal = principalOf(
      user,
      proof,
      (reason) => new BadCredential('invalid_credentials', reason),
      scopes,
    );
    // The epoch came with the hash, in one row: if the password is changed by now, this sign-in is over already.
    return issuer.issue(principal, request, user.epoch);
  }

  private async verified(username: string, password: string, as: MethodName, ip: string): Promise<User> {
    try {
      return await this.passwords.verify(username, password, ip);
    } catch (error) {
      if (!(error instanceof BadCredential)) throw error;
      const refusal = this.authenticator.unauthenticated(as, error);
      const { code, reason, account } = error;
      // What was typed goes nowhere: as a username, it is now and then a password.
      await this.audit.recordRejection(refusal, {
        event: 'authn_login_fail',
        actor: account,
        method: 'password',
        details: { code, reason },
      });
      throw refusal;
    }
  }
}
