import { HttpException, Injectable } from '@nestjs/common';
import type { InteractionResults } from 'oidc-provider';
import { BadCredential } from '../authentication/challenge.js';
import { AuditPort } from '../authentication/ports.js';
import { PasswordsService } from '../passwords/passwords.service.js';
import type { User } from '../users/user.entity.js';
import { PASSWORD_ACR } from './acr.js';

/** What the engine is to know of a sign-in. */
export type SignedIn = Pick<Required<InteractionResults>, 'login'>;

/** Why nobody was signed in, in words for whoever tried. */
export interface Failed {
  readonly status: number;
  readonly says: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** Signs people in at the pages of the authorization server. Machines have no business there. */
@Injectable()
export class SignIn {
  constructor(
    private readonly passwords: PasswordsService,
    private readonly audit: AuditPort,
  ) {}

  async signIn(username: string, password: string, ip: string): Promise<SignedIn | Failed> {
    const at = new Date();
    try {
      const user = await this.person(username, password, ip);
      await this.audit.record({
        event: 'authn_login_success',
        actor: user,
        method: 'password',
        details: { as: 'oauth' },
      });
      // The epoch came with the hash, in one row: if all sign-ins are ended by now, this one is over already.
      const { id: accountId, epoch } = user;
      const ts = Math.floor(at.getTime() / 1000);
      return { login: { accountId, epoch, ts, remember: false, amr: ['pwd'], acr: PASSWORD_ACR } };
    } catch (error) {
      if (error instanceof BadCredential) return this.refused(error);
      if (error instanceof HttpException && 'headers' in error) return limited(error);
      throw error;
    }
  }

  private async person(username: string, password: string, ip: string): Promise<User> {
    const user = await this.passwords.verify(username, password, ip);
    if (user.kind === 'user') return user;
    throw new BadCredential('invalid_credentials', `the account ${user.id} is no person's`).ofAccount(user);
  }

  private async refused(error: BadCredential): Promise<Failed> {
    const { code, reason, account } = error;
    // What was typed goes nowhere: as a username, it is now and then a password.
    await this.audit.recordRejection(error, {
      event: 'authn_login_fail',
      actor: account,
      method: 'password',
      details: { code, reason, as: 'oauth' },
    });
    // No 401: it would have to say how to authenticate by a header (RFC 9110, section 15.5.2), and a form has no word for it.
    return { status: 422, says: 'The username or the password is wrong.', headers: {} };
  }
}

const limited = (error: HttpException & { headers?: unknown }): Failed => ({
  status: error.getStatus(),
  says:
    error.getStatus() === 429
      ? 'There were too many failed attempts. Wait a while, then try again.'
      : 'Too many people sign in at this moment. Try again.',
  headers: error.headers as Record<string, string>,
});
