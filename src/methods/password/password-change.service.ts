import {
  ConflictException,
  ForbiddenException,
  Injectable,
  NotFoundException,
  UnprocessableEntityException,
} from '@nestjs/common';
import { DataSource } from 'typeorm';
import { BadCredential } from '../../authentication/challenge.js';
import type { Principal } from '../../authentication/principal.js';
import { AuditPort } from '../../authentication/ports.js';
import { Password } from '../../passwords/password.entity.js';
import { PasswordsService } from '../../passwords/passwords.service.js';
import { passwordFaults } from '../../passwords/password-policy.js';
import { normalizePassword } from '../../passwords/password-hashing.service.js';
import { endAllSignIns } from '../../users/end-sign-ins.js';

/** What counts as a second factor, in the words of RFC 8176. */
const SECOND_FACTORS = ['mfa', 'otp', 'hwk'];

@Injectable()
export class PasswordChange {
  constructor(
    private readonly dataSource: DataSource,
    private readonly passwords: PasswordsService,
    private readonly audit: AuditPort,
  ) {}

  /**
   * Puts a new password in the place of the caller's own, and ends all sign-ins of the account.
   *
   * @returns the account's new epoch
   * @throws NotFoundException `password_not_set` where the account has none
   * @throws UnprocessableEntityException `invalid_body` where the new one is too weak
   * @throws ForbiddenException `incorrect_password`
   * @throws ConflictException `concurrent_password_change`
   */
  async change(caller: Principal, current: string, next: string, ip: string): Promise<number> {
    const username = await this.usernameOf(caller);
    refuseWeak(caller, username, current, next);
    const { hash: before } = await this.proved(caller, username, current, ip);
    const hash = await this.passwords.hash(next);
    return this.dataSource.transaction(async (manager) => {
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
      const epoch = await endAllSignIns(manager, caller.id);
      await this.audit.append(manager, {
        event: 'authn_password_change',
        actor: caller,
        target: `user:${caller.id}`,
      });
      return epoch;
    });
  }

  private async usernameOf({ id }: Principal): Promise<string> {
    const row = await this.dataSource.manager.findOne(Password, {
      where: { userId: id },
      relations: { user: true },
    });
    if (!row?.user)
      throw new NotFoundException({
        code: 'password_not_set',
        detail: 'This account has no password to change.',
      });
    return row.user.username;
  }

  /** It counts as an attempt: whoever found a session open must not be able to guess here for nothing. */
  private async proved(caller: Principal, username: string, password: string, ip: string) {
    try {
      return await this.passwords.verifyWithHash(username, password, ip);
    } catch (error) {
      if (!(error instanceof BadCredential)) throw error;
      const code = 'incorrect_password';
      const refusal = new ForbiddenException({ code, detail: 'The current password is incorrect.' });
      await this.audit.recordRejection(refusal, {
        event: 'authn_login_fail',
        actor: caller,
        method: 'password',
        target: `user:${caller.id}`,
        details: { code, reason: error.reason },
      });
      throw refusal;
    }
  }
}

/** Asks before the current password is looked at: a typing mistake in the new one must not cost an attempt. */
function refuseWeak({ proofs }: Principal, username: string, current: string, next: string): void {
  const onlyFactor = !proofs.some(({ amr }) => amr.some((how) => SECOND_FACTORS.includes(how)));
  const faults = passwordFaults(next, { username, onlyFactor });
  if (normalizePassword(next) === normalizePassword(current))
    faults.push('Must be another one than the current.');
  if (faults.length)
    throw new UnprocessableEntityException({
      code: 'invalid_body',
      detail: 'The new password is too weak.',
      errors: faults.map((message) => ({ field: 'new_password', message })),
    });
}
