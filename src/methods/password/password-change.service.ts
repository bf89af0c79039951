import { ConflictException, ForbiddenException, Injectable, NotFoundException } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { BadCredential } from '../../authentication/challenge.js';
import { assertMayManageCredentials, type Principal } from '../../authentication/principal.js';
import { AuditPort, NoticePort } from '../../authentication/ports.js';
import { Password } from '../../passwords/password.entity.js';
import { PasswordsService } from '../../passwords/passwords.service.js';
import { assertNoFaults, passwordFaults, policyContextOf } from '../../passwords/password-policy.js';
import { normalizePassword } from '../../passwords/password-hashing.service.js';
import { endAllSignIns } from '../../users/end-sign-ins.js';
import type { User } from '../../users/user.entity.js';

@Injectable()
export class PasswordChangeService {
  constructor(
    private readonly dataSource: DataSource,
    private readonly passwords: PasswordsService,
    private readonly audit: AuditPort,
    private readonly notices: NoticePort,
  ) {}

  /**
   * Replaces the caller's password and ends all sign-ins of the account.
   *
   * @returns the account's new epoch
   * @throws ForbiddenException `limited_credential`
   * @throws NotFoundException `password_not_set`
   * @throws UnprocessableEntityException `invalid_body` for a weak new password
   * @throws ForbiddenException `incorrect_password`
   * @throws ConflictException `concurrent_password_change`
   */
  async change(caller: Principal, current: string, next: string, ip: string): Promise<number> {
    assertMayManageCredentials(caller);
    const user = await this.accountOf(caller);
    // Before the current password is verified, so that a weak new one does not count as an attempt.
    await this.assertStrong(user, current, next);
    const { hash: before } = await this.verifyCurrent(caller, user.username, current, ip);
    const hash = await this.passwords.hash(next);
    const epoch = await this.dataSource.transaction(async (manager) => {
      const { affected } = await manager.update(
        Password,
        { userId: caller.id, hash: before },
        { hash, changedAt: new Date() },
      );
      if (!affected)
        throw new ConflictException({
          code: 'concurrent_password_change',
          detail: 'The password was changed by another request.',
        });
      const changed = await endAllSignIns(manager, caller.id);
      await this.audit.append(manager, {
        event: 'authn_password_change',
        actor: caller,
        target: `user:${caller.id}`,
      });
      return changed;
    });
    this.notices.send(caller.id, 'password_changed');
    return epoch;
  }

  private async accountOf({ id }: Principal): Promise<User> {
    const row = await this.dataSource.manager.findOne(Password, {
      where: { userId: id },
      relations: { user: true },
    });
    if (!row?.user)
      throw new NotFoundException({
        code: 'password_not_set',
        detail: 'This account has no password to change.',
      });
    return row.user;
  }

  /** @throws UnprocessableEntityException `invalid_body` */
  private async assertStrong(user: User, current: string, next: string): Promise<void> {
    const faults = await passwordFaults(next, await policyContextOf(this.dataSource.manager, user));
    if (normalizePassword(next) === normalizePassword(current))
      faults.push('Must differ from the current password.');
    assertNoFaults('new_password', faults);
  }

  /** Counts as a sign-in attempt: an attacker with an open session must not guess the password here. */
  private async verifyCurrent(caller: Principal, username: string, password: string, ip: string) {
    try {
      return await this.passwords.verifyWithHash(username, password, ip);
    } catch (error) {
      if (!(error instanceof BadCredential)) throw error;
      const code = 'incorrect_password';
      const rejection = new ForbiddenException({ code, detail: 'The current password is incorrect.' });
      await this.audit.recordRejection(rejection, {
        event: 'authn_login_fail',
        actor: caller,
        method: 'password',
        target: `user:${caller.id}`,
        details: { code, reason: error.reason },
      });
      throw rejection;
    }
  }
}
