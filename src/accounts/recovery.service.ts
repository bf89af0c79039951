import { ConflictException, Injectable } from '@nestjs/common';
import { randomBytes } from 'node:crypto';
import { DataSource, IsNull, LessThanOrEqual, type EntityManager } from 'typeorm';
import { AuditPort, NoticePort } from '../authentication/ports.js';
import { assertMayManageCredentials, type Principal } from '../authentication/principal.js';
import type { AppAbility } from '../authorization/app-ability.js';
import { assertCan } from '../authorization/assert-can.js';
import { Settings } from '../config/settings.js';
import { HourlyCleanup } from '../database/hourly-cleanup.js';
import { MailService } from '../mail/mail.service.js';
import { Password } from '../passwords/password.entity.js';
import { PasswordsService } from '../passwords/passwords.service.js';
import { AccountFactors } from '../users/account-factors.service.js';
import { UserEmail } from '../users/user-email.entity.js';
import { User, lockAccount } from '../users/user.entity.js';
import { AccountToken, type TokenPayloads } from './account-token.entity.js';
import { AccountTokens } from './account-tokens.service.js';
import { AccountsConfig } from './accounts.config.js';
import { accountLink, mailedRequest, recoveryMail } from './mails.js';
import { PasswordResetService } from './password-reset.service.js';
import { findUser } from './user-accounts.service.js';

const PURPOSE = 'recovery';

/**
 * Recovers an account whose holder has lost every factor. An administrator starts it, the holder can cancel it during a delay, and
 * afterwards only a link to the holder's mailbox signs in. The administrator receives no secret.
 */
@Injectable()
export class RecoveryService extends HourlyCleanup {
  constructor(
    private readonly dataSource: DataSource,
    private readonly config: AccountsConfig,
    private readonly tokens: AccountTokens,
    private readonly mails: MailService,
    private readonly factors: AccountFactors,
    private readonly passwords: PasswordsService,
    private readonly resets: PasswordResetService,
    private readonly audit: AuditPort,
    private readonly notices: NoticePort,
    private readonly settings: Settings,
  ) {
    super();
  }

  /**
   * Starts the delay again, if a recovery is in progress.
   * @returns when the second factors are removed
   * @throws ForbiddenException `limited_credential`, `forbidden`
   * @throws InsufficientCredential without a recent second factor
   * @throws NotFoundException for an account that the caller may not see
   * @throws ConflictException `second_factor_not_set`, `email_not_verified`
   * @throws ServiceUnavailableException `mail_unavailable`
   */
  async request(caller: Principal, ability: AppAbility, id: string): Promise<Date> {
    assertMayManageCredentials(caller);
    const lifetimeMs = this.config.recoveryDelayMs;
    const dueAt = new Date(Date.now() + lifetimeMs);
    const { user, address, token } = await this.dataSource.transaction(async (manager) => {
      const account = await findUser(manager, ability, id);
      assertCan(ability, 'update', account, 'mfaSince');
      this.mails.assertAvailable();
      if (!account.mfaSince) throw noSecondFactor();
      const email = await manager.findOneBy(UserEmail, { userId: id });
      if (!email?.verifiedAt) throw emailNotVerified();
      await lockAccount(manager, id);
      await manager.delete(AccountToken, { accountId: id, purpose: PURPOSE });
      const row = { accountId: id, address: email.address, payload: { actorId: caller.id }, lifetimeMs };
      const created = await this.tokens.create(manager, { purpose: PURPOSE, ...row });
      await this.record(manager, caller, id, 'requested');
      return { user: account, address: email.address, token: created.token };
    });
    const link = accountLink(this.settings.publicUrl, 'cancel-recovery', token);
    this.mails.send({ to: address, ...recoveryMail(user.username, dueAt, link, mailedRequest()) });
    return dueAt;
  }

  /** @throws BadRequestException `invalid_mailed_token` */
  async cancel(text: string): Promise<void> {
    const token = await this.tokens.find(text, PURPOSE);
    const id = token.accountId ?? '';
    await this.dataSource.transaction(async (manager) => {
      await lockAccount(manager, id);
      await this.tokens.use(manager, token);
      await this.record(manager, await manager.findOneByOrFail(User, { id }), id, 'cancelled');
    });
  }

  /** Recovers the accounts whose delay is over. */
  async cleanUp(): Promise<void> {
    const due = await this.dataSource.manager.findBy(AccountToken, {
      purpose: PURPOSE,
      usedAt: IsNull(),
      expiresAt: LessThanOrEqual(new Date()),
    });
    for (const token of due) {
      const id = token.accountId ?? '';
      // A thief may know the old password, and the second factor no longer protects it.
      const hash = await this.passwords.hash(randomBytes(32).toString('base64url'));
      const recovered = await this.dataSource.transaction((manager) =>
        this.recover(manager, token, id, hash),
      );
      if (!recovered) continue;
      this.notices.send(id, 'factor_removed');
      await this.resets.mailLink(token.address);
    }
  }

  /** @returns false if the account or the administrator was disabled in the meantime, or another process was first */
  private async recover(
    manager: EntityManager,
    token: AccountToken,
    id: string,
    hash: string,
  ): Promise<boolean> {
    const { affected } = await manager.update(User, { id, disabledAt: IsNull() }, { id });
    const deleted = await manager.delete(AccountToken, { id: token.id, usedAt: IsNull() });
    const { actorId } = token.payload as TokenPayloads[typeof PURPOSE];
    const user = await manager.findOneBy(User, { id });
    const actor = await manager.findOneBy(User, { id: actorId });
    if (!affected || !deleted.affected || !actor || actor.disabledAt) return false;
    if (!actor.roles.includes('admin') || actor.tenantId !== user?.tenantId) return false;
    await this.factors.removeSecondFactors(manager, id);
    await manager.update(Password, { userId: id }, { hash, changedAt: new Date() });
    await this.record(manager, actor, id, 'completed');
    return true;
  }

  private async record(
    manager: EntityManager,
    actor: Pick<User, 'id' | 'tenantId'>,
    id: string,
    recovery: 'requested' | 'cancelled' | 'completed',
  ): Promise<void> {
    const { id: actorId, tenantId } = actor;
    await this.audit.append(manager, {
      event: 'sensitive_update',
      actor: { id: actorId, tenantId },
      target: `user:${id}`,
      details: { recovery },
    });
  }
}

const noSecondFactor = () =>
  new ConflictException({
    code: 'second_factor_not_set',
    detail: 'The account has no second factor. Its holder can reset the password.',
  });

const emailNotVerified = () =>
  new ConflictException({
    code: 'email_not_verified',
    detail: 'The account has no verified e-mail address, to which the links would be sent.',
  });
