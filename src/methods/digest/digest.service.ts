import { ForbiddenException, Injectable, NotFoundException } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { BadCredential } from '../../authentication/challenge.js';
import { assertMayManageCredentials } from '../../authentication/manage-credentials.js';
import type { Principal } from '../../authentication/principal.js';
import { AuditPort } from '../../authentication/ports.js';
import { HourlyCleanup } from '../../database/hourly-cleanup.js';
import { Password } from '../../passwords/password.entity.js';
import { PasswordsService } from '../../passwords/passwords.service.js';
import { DigestCredential } from './digest.entity.js';
import { DigestSecrets } from './digest.secrets.js';

/** Whether an account may sign in by Digest: its owner turns that on with the password, and off again. */
@Injectable()
export class DigestService extends HourlyCleanup {
  constructor(
    private readonly dataSource: DataSource,
    private readonly passwords: PasswordsService,
    private readonly secrets: DigestSecrets,
    private readonly audit: AuditPort,
  ) {
    super();
  }

  /**
   * @returns null where it is off, or was turned on with a password before this one
   * @throws ForbiddenException `limited_credential`
   */
  async find(caller: Principal): Promise<DigestCredential | null> {
    assertMayManageCredentials(caller);
    const { id } = caller;
    const row = await this.dataSource.manager.findOneBy(DigestCredential, { userId: id });
    const current =
      row &&
      (await this.dataSource.manager.existsBy(Password, { userId: id, changedAt: row.passwordChangedAt }));
    return current ? row : null;
  }

  /**
   * @throws ForbiddenException `limited_credential`, `incorrect_password`
   * @throws NotFoundException `password_not_set` where the account has none: a machine
   */
  async enable(caller: Principal, password: string, ip: string): Promise<DigestCredential> {
    assertMayManageCredentials(caller);
    const { user, hash } = await this.proved(caller, password, ip);
    return this.dataSource.transaction(async (manager) => {
      const current = await manager.findOneBy(Password, { userId: user.id, hash });
      // Changed in this very moment: what was proved is the one before.
      if (!current) throw wrongPassword();
      const row = this.secrets.make(user, password, current.changedAt);
      await manager.upsert(DigestCredential, row, ['userId']);
      await this.audit.append(manager, {
        event: 'authn_token_created',
        actor: caller,
        target: target(caller),
      });
      return row;
    });
  }

  /** @throws ForbiddenException `limited_credential` */
  async disable(caller: Principal): Promise<void> {
    assertMayManageCredentials(caller);
    await this.dataSource.transaction(async (manager) => {
      const { affected } = await manager.delete(DigestCredential, { userId: caller.id });
      if (affected)
        await this.audit.append(manager, {
          event: 'authn_token_revoked',
          actor: caller,
          target: target(caller),
        });
    });
  }

  /** Removes what was made of a password that is no longer: it opens nothing, and should not lie about. */
  async cleanUp(): Promise<void> {
    await this.dataSource.manager.sql`
      DELETE FROM digest_credentials WHERE NOT EXISTS (
        SELECT 1 FROM passwords WHERE passwords."userId" = digest_credentials."userId"
        AND passwords."changedAt" = digest_credentials."passwordChangedAt")`;
  }

  /** It counts as an attempt: whoever found a session open must not be able to guess here for nothing. */
  private async proved(caller: Principal, password: string, ip: string) {
    const { manager } = this.dataSource;
    const row = await manager.findOne(Password, { where: { userId: caller.id }, relations: { user: true } });
    if (!row?.user)
      throw new NotFoundException({ code: 'password_not_set', detail: 'This account has no password.' });
    try {
      return await this.passwords.verifyWithHash(row.user.username, password, ip);
    } catch (error) {
      if (!(error instanceof BadCredential)) throw error;
      const refusal = wrongPassword();
      await this.audit.recordRejection(refusal, {
        event: 'authn_login_fail',
        actor: caller,
        method: 'digest',
        target: target(caller),
        details: { code: 'incorrect_password', reason: error.reason },
      });
      throw refusal;
    }
  }
}

const target = ({ id }: Principal) => `digest:${id}`;

const wrongPassword = () =>
  new ForbiddenException({ code: 'incorrect_password', detail: 'The current password is incorrect.' });
