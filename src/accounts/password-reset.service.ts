import { Injectable } from '@nestjs/common';
import { DataSource, IsNull, Not, type EntityManager } from 'typeorm';
import { AuditPort, NoticePort } from '../authentication/ports.js';
import { Settings } from '../config/settings.js';
import { MailService } from '../mail/mail.service.js';
import { Password } from '../passwords/password.entity.js';
import { assertNoFaults, passwordFaults, policyContextOf } from '../passwords/password-policy.js';
import { PasswordsService } from '../passwords/passwords.service.js';
import { UserEmail } from '../users/user-email.entity.js';
import { User } from '../users/user.entity.js';
import { AccountToken } from './account-token.entity.js';
import { AccountTokens, invalidMailedToken, type FoundToken } from './account-tokens.service.js';
import { findByAddress, isVerifiedUser, type EmailWithUser } from './accounts-by-address.js';
import { MailLimits } from './mail-limits.service.js';
import { accountLink, mailedRequest, resetMail } from './mails.js';

const PURPOSE = 'password-reset';
const LIFETIME_MS = 30 * 60_000;

/** Replaces a forgotten password by a link in a mail. It signs nobody in. */
@Injectable()
export class PasswordResetService {
  constructor(
    private readonly dataSource: DataSource,
    private readonly tokens: AccountTokens,
    private readonly limits: MailLimits,
    private readonly mails: MailService,
    private readonly passwords: PasswordsService,
    private readonly audit: AuditPort,
    private readonly notices: NoticePort,
    private readonly settings: Settings,
  ) {}

  /**
   * Mails a link, if an account has this verified address. The same statements run in either case.
   * @param address normalized
   * @throws TooManyMails
   * @throws ServiceUnavailableException `mail_unavailable`
   */
  async request(address: string, ip: string): Promise<void> {
    this.mails.assertAvailable();
    await this.limits.count(ip, address);
    const email = await findByAddress(this.dataSource.manager, address);
    const holder = email && isVerifiedUser(email) && !email.user.disabledAt ? email : undefined;
    const token = await this.dataSource.transaction((manager) => this.createToken(manager, address, holder));
    if (holder) this.sendLink(holder, token);
  }

  /**
   * Mails a link that nobody has requested, after a recovery.
   * @param address normalized
   */
  async mailLink(address: string): Promise<void> {
    const holder = await findByAddress(this.dataSource.manager, address);
    if (!holder || !isVerifiedUser(holder) || holder.user.disabledAt) return;
    this.sendLink(
      holder,
      await this.dataSource.transaction((manager) => this.createToken(manager, address, holder)),
    );
  }

  /**
   * The username of a token's account, which password managers store with the password.
   * @throws BadRequestException `invalid_mailed_token` if the token does not set a password any more
   */
  async usernameOf({ accountId, payload }: FoundToken<typeof PURPOSE>): Promise<string> {
    const current = { id: accountId ?? '', epoch: payload.epoch, disabledAt: IsNull() };
    const user = await this.dataSource.manager.findOneBy(User, current);
    if (!user) throw invalidMailedToken();
    return user.username;
  }

  /**
   * Sets the password, and ends all sign-ins of the account.
   * @throws BadRequestException `invalid_mailed_token`
   * @throws UnprocessableEntityException `invalid_body` for a weak password; the token stays valid
   * @throws TooManySignIns
   */
  async complete(text: string, password: string): Promise<void> {
    const token = await this.tokens.find(text, PURPOSE);
    const id = token.accountId ?? '';
    const user = await this.dataSource.manager.findOneBy(User, { id });
    if (!user) throw invalidMailedToken();
    const context = await policyContextOf(this.dataSource.manager, user);
    assertNoFaults('new_password', await passwordFaults(password, context));
    const hash = await this.passwords.hash(password);
    await this.dataSource.transaction(async (manager) => {
      const current = { id, epoch: token.payload.epoch, disabledAt: IsNull() };
      const { affected } = await manager.update(User, current, { epoch: () => 'epoch + 1' });
      if (!affected) throw invalidMailedToken();
      await this.tokens.use(manager, token);
      const { address } = token;
      // The address may have changed since, which deletes only the tokens before.
      if (!(await manager.existsBy(UserEmail, { userId: id, address, verifiedAt: Not(IsNull()) })))
        throw invalidMailedToken();
      await manager.upsert(Password, { userId: id, hash, changedAt: new Date() }, ['userId']);
      await this.audit.append(manager, {
        event: 'authn_password_change',
        actor: user,
        target: `user:${id}`,
        details: { reset: true },
      });
    });
    this.notices.send(id, 'password_changed');
  }

  /** Replaces the tokens before. */
  private async createToken(
    manager: EntityManager,
    address: string,
    holder: EmailWithUser | undefined,
  ): Promise<string> {
    await manager.delete(AccountToken, { purpose: PURPOSE, address });
    const { id, token } = await this.tokens.create(manager, {
      purpose: PURPOSE,
      accountId: holder?.userId ?? null,
      address,
      payload: { epoch: holder?.user.epoch ?? 0 },
      lifetimeMs: LIFETIME_MS,
    });
    await this.audit.append(manager, {
      event: 'authn_token_created',
      actor: holder?.user,
      target: `account-token:${id}`,
      details: { purpose: PURPOSE },
    });
    return token;
  }

  private sendLink({ address, user }: EmailWithUser, token: string): void {
    const link = accountLink(this.settings.publicUrl, 'reset-password', token);
    this.mails.send({ to: address, ...resetMail(user.username, link, mailedRequest()) });
  }
}
