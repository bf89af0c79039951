import { Injectable } from '@nestjs/common';
import { Authenticator } from '../../authentication/authenticator.js';
import { BadCredential } from '../../authentication/challenge.js';
import type { AuthRequest } from '../../authentication/request.js';
import type { Issuer } from '../../authentication/method.js';
import type { MethodName } from '../../authentication/principal.js';
import { AuditPort } from '../../authentication/ports.js';
import { PasswordsService } from '../../passwords/passwords.service.js';
import { type User, principalOf } from '../../users/user.entity.js';

export interface PasswordLogin {
  readonly username: string;
  readonly password: string;
  /** Limits the issued credential. */
  readonly scopes?: readonly string[];
}

@Injectable()
export class PasswordLoginService {
  constructor(
    private readonly passwords: PasswordsService,
    private readonly authenticator: Authenticator,
    private readonly audit: AuditPort,
  ) {}

  /**
   * Verifies a password and issues a credential.
   * @param as the method of the issuer
   * @returns the body of the issuer's response
   * @throws Unauthenticated `invalid_credentials` with the challenge of the issuer's method
   */
  async signIn(
    { username, password, scopes }: PasswordLogin,
    as: MethodName,
    issuer: Issuer,
    request: AuthRequest,
  ): Promise<object> {
    const at = new Date();
    const user = await this.verify(username, password, as, request.ip);
    const proof = { method: 'password', at, amr: ['pwd'], bound: false, signIn: true } as const;
    const principal = principalOf(
      user,
      proof,
      (reason) => new BadCredential('invalid_credentials', reason),
      scopes,
    );
    // The epoch was read together with the hash. If the password has changed since, the new credential is invalid.
    return issuer.issue(principal, request, user.epoch);
  }

  private async verify(username: string, password: string, as: MethodName, ip: string): Promise<User> {
    try {
      return await this.passwords.verify(username, password, ip);
    } catch (error) {
      if (!(error instanceof BadCredential)) throw error;
      const rejection = this.authenticator.unauthenticated(as, error);
      const { code, reason, account } = error;
      // Without the typed username: people sometimes type their password there.
      await this.audit.recordRejection(rejection, {
        event: 'authn_login_fail',
        actor: account,
        method: 'password',
        details: { code, reason },
      });
      throw rejection;
    }
  }
}
