import { ForbiddenException, Injectable, NotFoundException } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { BadCredential } from '../../authentication/challenge.js';
import { AuditPort } from '../../authentication/ports.js';
import { type Principal, assertMayManageCredentials } from '../../authentication/principal.js';
import { HourlyCleanup } from '../../database/hourly-cleanup.js';
import { Password } from '../../passwords/password.entity.js';
import { PasswordsService } from '../../passwords/passwords.service.js';
import { DigestCredentials, hasCurrentPassword } from './digest.credentials.service.js';
import { DigestCredential } from './digest.entity.js';

/** Enables and disables Digest for an account. Enabling requires the account's password. */
@Injectable()
export class DigestService extends HourlyCleanup {
  constructor(
    private readonly dataSource: DataSource,
    private readonly passwords: PasswordsService,
    private readonly credentials: DigestCredentials,
    private readonly audit: AuditPort,
  ) {
    super();
  }

  /**
   * @returns null if Digest is disabled, or if the password has changed since it was enabled
   * @throws ForbiddenException `limited_credential`
   */
  async find(caller: Principal): Promise<DigestCredential | null> {
    assertMayManageCredentials(caller);
    const row = await this.dataSource.manager.findOne(DigestCredential, {
      where: { userId: caller.id },
      relations: { password: true },
    });
    return row && hasCurrentPassword(row.passwordChangedAt, row.password?.changedAt) ? row : null;
  }

  /**
   * @throws ForbiddenException `limited_credential`, `incorrect_password`
   * @throws NotFoundException `password_not_set` if the account has no password, such as a machine account
   */
  async enable(caller: Principal, password: string, ip: string): Promise<DigestCredential> {
    assertMayManageCredentials(caller);
    const { user, hash } = await this.verifyPassword(caller, password, ip);
    return this.dataSource.transaction(async (manager) => {
      const current = await manager.findOneBy(Password, { userId: user.id, hash });
      // The password was changed after it was verified.
      if (!current) throw incorrectPassword();
      const row = this.credentials.create(user, password, current.changedAt);
      await manager.upsert(DigestCredential, row, ['userId']);
      const target = targetOf(caller);
      await this.audit.append(manager, { event: 'authn_token_created', actor: caller, target });
      return row;
    });
  }

  /** @throws ForbiddenException `limited_credential` */
  async disable(caller: Principal): Promise<void> {
    assertMayManageCredentials(caller);
    await this.dataSource.transaction(async (manager) => {
      const { affected } = await manager.delete(DigestCredential, { userId: caller.id });
      if (!affected) return;
      const target = targetOf(caller);
      await this.audit.append(manager, { event: 'authn_token_revoked', actor: caller, target });
    });
  }

  /** Deletes the H(A1) of passwords that were changed since. They are not accepted anymore, and should not be kept. */
  async cleanUp(): Promise<void> {
    const { manager } = this.dataSource;
    const outdated = await manager
      .createQueryBuilder(DigestCredential, 'credential')
      .leftJoin('credential.password', 'password')
      .where('password.userId IS NULL OR password.changedAt <> credential.passwordChangedAt')
      .getMany();
    for (const { userId, passwordChangedAt } of outdated)
      await manager.delete(DigestCredential, { userId, passwordChangedAt });
  }

  /** A wrong password counts as a failed sign-in, so a stolen session cannot be used to guess it. */
  private async verifyPassword(caller: Principal, password: string, ip: string) {
    const { manager } = this.dataSource;
    const row = await manager.findOne(Password, { where: { userId: caller.id }, relations: { user: true } });
    if (!row?.user)
      throw new NotFoundException({ code: 'password_not_set', detail: 'This account has no password.' });
    try {
      return await this.passwords.verifyWithHash(row.user.username, password, ip);
    } catch (error) {
      if (!(error instanceof BadCredential)) throw error;
      const rejection = incorrectPassword();
      await this.audit.recordRejection(rejection, {
        event: 'authn_login_fail',
        actor: caller,
        method: 'digest',
        target: targetOf(caller),
        details: { code: 'incorrect_password', reason: error.reason },
      });
      throw rejection;
    }
  }
}

const targetOf = ({ id }: Principal) => `digest:${id}`;

const incorrectPassword = () =>
  new ForbiddenException({ code: 'incorrect_password', detail: 'The current password is incorrect.' });
