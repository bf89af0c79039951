import { ConflictException, Injectable, NotFoundException } from '@nestjs/common';
import { DataSource, In, IsNull, Not, type EntityManager } from 'typeorm';
import { AuditPort } from '../authentication/ports.js';
import { assertMayManageCredentials, type Principal } from '../authentication/principal.js';
import { assertMayChangeFactors } from '../authentication/step-up.js';
import { Settings } from '../config/settings.js';
import { MailService } from '../mail/mail.service.js';
import { invalidField } from '../users/account-factors.service.js';
import { UserEmail } from '../users/user-email.entity.js';
import { User, lockAccount } from '../users/user.entity.js';
import { AccountToken, type TokenPurpose } from './account-token.entity.js';
import { AccountTokens, invalidMailedToken, type FoundToken } from './account-tokens.service.js';
import { findByAddress } from './accounts-by-address.js';
import { MailLimits } from './mail-limits.service.js';
import {
  accountLink,
  addressTakenMail,
  emailChangedMail,
  emailVerificationMail,
  mailedRequest,
  newEmailMail,
  oldEmailMail,
} from './mails.js';

const OLD = 'email-change-old';
const NEW = 'email-change-new';
const VERIFICATION = 'email-verification';
const LIFETIME_MS = 30 * 60_000;
/** The tokens that end with the address. */
const OF_ADDRESS: readonly TokenPurpose[] = ['password-reset', OLD, NEW, VERIFICATION];

type ConfirmationToken = FoundToken<typeof OLD | typeof NEW | typeof VERIFICATION>;

/** `waiting`: the other address has not been confirmed yet. */
export type Confirmation = 'verified' | 'waiting' | 'changed';

/** Changes the e-mail address of an account, confirmed at the old and the new one, and verifies an address. */
@Injectable()
export class EmailChangeService {
  constructor(
    private readonly dataSource: DataSource,
    private readonly tokens: AccountTokens,
    private readonly limits: MailLimits,
    private readonly mails: MailService,
    private readonly audit: AuditPort,
    private readonly settings: Settings,
  ) {}

  /**
   * Mails a link to both addresses. The same statements run for a new address that is taken; its holder gets another mail. An
   * account without a verified address confirms the new one only.
   * @param address normalized
   * @throws ForbiddenException `limited_credential`
   * @throws InsufficientCredential `reauthentication_required`
   * @throws UnprocessableEntityException `invalid_body` for the present address
   * @throws TooManyMails
   * @throws ServiceUnavailableException `mail_unavailable`
   */
  async request(caller: Principal, address: string, ip: string): Promise<void> {
    assertMayChangeFactors(caller);
    this.mails.assertAvailable();
    const { manager } = this.dataSource;
    const { id } = caller;
    const present = await manager.findOneBy(UserEmail, { userId: id });
    if (present?.address === address) throw invalidField('email', 'Must differ from the present address.');
    const oldAddress = present?.verifiedAt ? present.address : null;
    await this.limits.count(ip, address, ...(oldAddress === null ? [] : [oldAddress]));
    const holder = await findByAddress(manager, address);
    const { username } = await manager.findOneByOrFail(User, { id });
    const links = await this.dataSource.transaction(async (transaction) => {
      await lockAccount(transaction, id);
      await transaction.delete(AccountToken, { accountId: id, purpose: In([OLD, NEW]) });
      const payload = { oldAddress, newAddress: address };
      const create = async (purpose: typeof OLD | typeof NEW, to: string) => {
        const token = { purpose, accountId: id, address: to, payload, lifetimeMs: LIFETIME_MS };
        return this.linkOf((await this.tokens.create(transaction, token)).token);
      };
      const created = {
        toNew: await create(NEW, address),
        toOld: oldAddress === null ? '' : await create(OLD, oldAddress),
      };
      await this.audit.append(transaction, {
        event: 'sensitive_update',
        actor: caller,
        target: `user:${id}`,
        details: { field: 'email', requested: true },
      });
      return created;
    });
    const request = mailedRequest();
    const mail = holder
      ? addressTakenMail(holder.user.username, request)
      : newEmailMail(username, links.toNew, request);
    this.mails.send({ to: address, ...mail });
    if (oldAddress !== null)
      this.mails.send({ to: oldAddress, ...oldEmailMail(username, address, links.toOld, request) });
  }

  /**
   * Mails a link to the present address, which an operator has stored.
   * @throws ForbiddenException `limited_credential`
   * @throws NotFoundException if the account has no address
   * @throws ConflictException `email_already_verified`
   * @throws TooManyMails
   * @throws ServiceUnavailableException `mail_unavailable`
   */
  async requestVerification(caller: Principal, ip: string): Promise<void> {
    assertMayManageCredentials(caller);
    this.mails.assertAvailable();
    const { manager } = this.dataSource;
    const accountId = caller.id;
    const email = await manager.findOneBy(UserEmail, { userId: accountId });
    if (!email) throw noEmail();
    if (email.verifiedAt) throw alreadyVerified();
    const { address } = email;
    await this.limits.count(ip, address);
    const { username } = await manager.findOneByOrFail(User, { id: accountId });
    const { token } = await this.dataSource.transaction(async (transaction) => {
      await transaction.delete(AccountToken, { accountId, purpose: VERIFICATION });
      const row = {
        purpose: VERIFICATION,
        accountId,
        address,
        payload: {},
        lifetimeMs: LIFETIME_MS,
      } as const;
      return this.tokens.create(transaction, row);
    });
    const mail = emailVerificationMail(username, this.linkOf(token), mailedRequest());
    this.mails.send({ to: address, ...mail });
  }

  /**
   * Confirms an address by a mailed token, in any order. The second confirmation changes the address.
   * @throws BadRequestException `invalid_mailed_token`, also if another account has got the new address in the meantime
   */
  async confirm(text: string): Promise<Confirmation> {
    const token = await this.tokens.find(text, OLD, NEW, VERIFICATION);
    const id = token.accountId ?? '';
    const { confirmation, username } = await this.dataSource.transaction(async (manager) => {
      // The confirmations of both addresses wait for each other here.
      const { affected } = await manager.update(User, { id, disabledAt: IsNull() }, { id });
      if (!affected) throw invalidMailedToken();
      await this.tokens.use(manager, token);
      const user = await manager.findOneByOrFail(User, { id });
      return { confirmation: await this.apply(manager, user, token), username: user.username };
    });
    if (confirmation === 'changed' && token.purpose !== VERIFICATION) {
      const { oldAddress, newAddress } = token.payload;
      for (const to of [oldAddress, newAddress])
        if (to !== null) this.mails.send({ to, ...emailChangedMail(username, newAddress, mailedRequest()) });
    }
    return confirmation;
  }

  private async apply(manager: EntityManager, user: User, token: ConfirmationToken): Promise<Confirmation> {
    const userId = user.id;
    const present = await manager.findOneBy(UserEmail, { userId });
    if (token.purpose === VERIFICATION) {
      if (present?.address !== token.address) throw invalidMailedToken();
      await manager.update(UserEmail, { userId }, { verifiedAt: new Date() });
      await this.recordChange(manager, user);
      return 'verified';
    }
    const { oldAddress, newAddress } = token.payload;
    if ((present?.verifiedAt ? present.address : null) !== oldAddress) throw invalidMailedToken();
    const confirmed = (purpose: TokenPurpose) =>
      manager.existsBy(AccountToken, { accountId: userId, purpose, usedAt: Not(IsNull()) });
    if (!(await confirmed(NEW)) || (oldAddress !== null && !(await confirmed(OLD)))) return 'waiting';

    await manager.delete(UserEmail, { userId });
    const email = { userId, address: newAddress, verifiedAt: new Date() };
    await manager.createQueryBuilder().insert().into(UserEmail).values(email).orIgnore().execute();
    if (!(await manager.existsBy(UserEmail, { userId }))) throw invalidMailedToken();
    await manager.delete(AccountToken, { accountId: userId, purpose: In(OF_ADDRESS) });
    await this.recordChange(manager, user);
    return 'changed';
  }

  private async recordChange(manager: EntityManager, user: User): Promise<void> {
    await this.audit.append(manager, {
      event: 'sensitive_update',
      actor: user,
      target: `user:${user.id}`,
      details: { field: 'email' },
    });
  }

  private linkOf(token: string): string {
    return accountLink(this.settings.publicUrl, 'confirm-email', token);
  }
}

const noEmail = () =>
  new NotFoundException({ code: 'not_found', detail: 'Your account has no e-mail address.' });

const alreadyVerified = () =>
  new ConflictException({ code: 'email_already_verified', detail: 'Your e-mail address is verified.' });
