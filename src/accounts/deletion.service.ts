import { Injectable } from '@nestjs/common';
import { DataSource, IsNull, LessThanOrEqual, type EntityManager } from 'typeorm';
import { AuditPort } from '../authentication/ports.js';
import type { Principal } from '../authentication/principal.js';
import { assertMayChangeFactors } from '../authentication/step-up.js';
import { Settings } from '../config/settings.js';
import { HourlyCleanup } from '../database/hourly-cleanup.js';
import { MailService } from '../mail/mail.service.js';
import { AccountRemoval } from '../users/account-removal.service.js';
import { endAllSignIns } from '../users/end-sign-ins.js';
import { UserEmail } from '../users/user-email.entity.js';
import { User } from '../users/user.entity.js';
import { AccountToken, type TokenPayloads } from './account-token.entity.js';
import { AccountTokens, invalidMailedToken } from './account-tokens.service.js';
import { AccountsConfig } from './accounts.config.js';
import { assertNotLastAdmin, lockTenant, otherAdmins } from './last-admin.js';
import { accountLink, deletionMail, mailedRequest } from './mails.js';

const PURPOSE = 'deletion';

/**
 * Deletes accounts after a grace period, in which they are disabled and a mailed link cancels. If an administrator enables the
 * account in the meantime, it stays.
 */
@Injectable()
export class DeletionService extends HourlyCleanup {
  constructor(
    private readonly dataSource: DataSource,
    private readonly config: AccountsConfig,
    private readonly tokens: AccountTokens,
    private readonly mails: MailService,
    private readonly removal: AccountRemoval,
    private readonly audit: AuditPort,
    private readonly settings: Settings,
  ) {
    super();
  }

  /**
   * Disables the caller's account at once.
   * @returns when the account is deleted
   * @throws ForbiddenException `limited_credential`
   * @throws InsufficientCredential `reauthentication_required`
   * @throws ConflictException `last_admin`
   */
  async request(caller: Principal): Promise<Date> {
    assertMayChangeFactors(caller);
    const { id } = caller;
    const lifetimeMs = this.config.deletionGraceMs;
    const disabledAt = new Date();
    const deletesAt = new Date(disabledAt.getTime() + lifetimeMs);
    const { email, user, token } = await this.dataSource.transaction(async (manager) => {
      await lockTenant(manager, caller.tenantId);
      const account = await manager.findOneByOrFail(User, { id });
      await assertNotLastAdmin(manager, account);
      await manager.update(User, { id }, { disabledAt });
      await endAllSignIns(manager, id);
      await manager.delete(AccountToken, { accountId: id });
      const verified = await manager.findOneBy(UserEmail, { userId: id });
      const address = verified?.verifiedAt ? verified.address : '';
      const payload = { disabledAt: disabledAt.toISOString() };
      const row = { purpose: PURPOSE, accountId: id, address, payload, lifetimeMs } as const;
      const created = await this.tokens.create(manager, row);
      await this.audit.append(manager, {
        event: 'sensitive_delete',
        actor: caller,
        target: `user:${id}`,
        details: { deletesAt: deletesAt.toISOString() },
      });
      return { email: address, user: account, token: created.token };
    });
    const link = accountLink(this.settings.publicUrl, 'cancel-deletion', token);
    const mail = deletionMail(user.username, deletesAt, link, mailedRequest());
    if (email) this.mails.send({ to: email, ...mail });
    return deletesAt;
  }

  /**
   * Enables the account again.
   * @throws BadRequestException `invalid_mailed_token`
   */
  async cancel(text: string): Promise<void> {
    const token = await this.tokens.find(text, PURPOSE);
    const id = token.accountId ?? '';
    await this.dataSource.transaction(async (manager) => {
      // Otherwise an administrator has disabled the account as well.
      const { affected } = await manager.update(User, disabledBy(token, id), { disabledAt: null });
      if (!affected) throw invalidMailedToken();
      await this.tokens.use(manager, token);
      const user = await manager.findOneByOrFail(User, { id });
      await this.audit.append(manager, {
        event: 'sensitive_update',
        actor: user,
        target: `user:${id}`,
        details: { disabled: false },
      });
    });
  }

  /** Deletes the accounts whose grace period is over. */
  async cleanUp(): Promise<void> {
    const due = await this.dataSource.manager.findBy(AccountToken, {
      purpose: PURPOSE,
      usedAt: IsNull(),
      expiresAt: LessThanOrEqual(new Date()),
    });
    for (const token of due) await this.dataSource.transaction((manager) => this.remove(manager, token));
  }

  private async remove(
    manager: EntityManager,
    { id: tokenId, accountId, payload }: AccountToken,
  ): Promise<void> {
    const id = accountId ?? '';
    const where = disabledBy({ payload: payload as TokenPayloads[typeof PURPOSE] }, id);
    // Another process, and a request that enables the account, wait here.
    const { affected } = await manager.update(User, where, { id });
    if (!affected) return void (await manager.delete(AccountToken, { id: tokenId }));
    const user = await manager.findOneByOrFail(User, { id });
    const [successor] = await otherAdmins(manager, user);
    if (!successor) {
      this.logger.warn({ event: 'account not deleted', reason: 'its tenant has no administrator' });
      return;
    }
    await this.removal.remove(manager, user, successor);
    await this.audit.append(manager, {
      event: 'sensitive_delete',
      actor: user,
      target: `user:${id}`,
      details: { deleted: true },
    });
  }
}

const disabledBy = ({ payload }: { readonly payload: TokenPayloads[typeof PURPOSE] }, id: string) => ({
  id,
  disabledAt: new Date(payload.disabledAt),
});
