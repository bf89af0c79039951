import { ConflictException, Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import type { Role } from '../authentication/principal.js';
import { AuditPort } from '../authentication/ports.js';
import { Settings } from '../config/settings.js';
import { MailService } from '../mail/mail.service.js';
import { Password } from '../passwords/password.entity.js';
import { assertNoFaults, passwordFaults } from '../passwords/password-policy.js';
import { PasswordsService } from '../passwords/passwords.service.js';
import { consumeAll, createCounter, withCounterConnection, type Counter } from '../rate-limits/counter.js';
import { TooManyAttempts } from '../rate-limits/too-many-attempts.js';
import { invalidField } from '../users/account-factors.service.js';
import { insertAccount } from '../users/new-account.js';
import { UserEmail } from '../users/user-email.entity.js';
import type { User } from '../users/user.entity.js';
import { normalizeUsername } from '../users/username.js';
import { AccountToken } from './account-token.entity.js';
import { AccountTokens, invalidMailedToken, type FoundToken } from './account-tokens.service.js';
import { AccountsConfig, registrationClosed } from './accounts.config.js';
import { findByAddress } from './accounts-by-address.js';
import { InvitationsService } from './invitations.service.js';
import { MailLimits } from './mail-limits.service.js';
import { accountLink, addressTakenMail, mailedRequest, registrationMail } from './mails.js';

const PURPOSE = 'registration';
const LIFETIME_MS = 24 * 60 * 60_000;
/** A token must not serve to find out which usernames are taken. */
const MAX_USERNAMES_PER_TOKEN = 10;

export interface Registration {
  readonly token: string;
  readonly password: string;
  /** Absent: the e-mail address. */
  readonly username?: string | undefined;
}

/**
 * Creates accounts, each after its holder has opened a mailed link. There is no unverified account: otherwise a stranger could
 * prepare one, with a password of the stranger's, for an address whose owner registers later.
 */
@Injectable()
export class RegistrationService {
  private readonly usernames: Counter;

  constructor(
    private readonly dataSource: DataSource,
    private readonly config: AccountsConfig,
    private readonly tokens: AccountTokens,
    private readonly limits: MailLimits,
    private readonly mails: MailService,
    private readonly passwords: PasswordsService,
    private readonly audit: AuditPort,
    private readonly invitations: InvitationsService,
    private readonly settings: Settings,
  ) {
    this.usernames = createCounter(dataSource, 'username', MAX_USERNAMES_PER_TOKEN, LIFETIME_MS / 1000);
  }

  /**
   * Mails a link. The same statements run for an address that is taken; its holder gets another mail.
   * @param address normalized
   * @param name normalized
   * @throws ForbiddenException `registration_closed`
   * @throws TooManyMails
   * @throws ServiceUnavailableException `mail_unavailable`
   */
  async request(address: string, name: string | null, ip: string): Promise<void> {
    if (this.config.registration !== 'open') throw registrationClosed();
    this.mails.assertAvailable();
    await this.limits.count(ip, address);
    const holder = await findByAddress(this.dataSource.manager, address);
    const token = await this.dataSource.transaction((manager) => this.createToken(manager, address, name));
    const request = mailedRequest();
    const link = accountLink(this.settings.publicUrl, 'register', token);
    const mail = holder ? addressTakenMail(holder.user.username, request) : registrationMail(link, request);
    this.mails.send({ to: address, ...mail });
  }

  /**
   * Creates the account of a mailed link.
   * @throws ForbiddenException `registration_closed`
   * @throws BadRequestException `invalid_mailed_token`
   * @throws UnprocessableEntityException `invalid_body`; the token stays valid
   * @throws ConflictException `username_taken`; the token stays valid
   * @throws TooManyAttempts, TooManySignIns
   */
  async complete({ token: text, password, ...given }: Registration): Promise<User> {
    if (this.config.registration === 'closed') throw registrationClosed();
    const token = await this.tokens.find(text, PURPOSE, 'invitation');
    if (token.purpose === PURPOSE && this.config.registration !== 'open') throw registrationClosed();
    const username = usernameFor(token.address, given.username);
    const context = { username, email: token.address, onlyFactor: true };
    assertNoFaults('password', await passwordFaults(password, context));
    await this.countUsername(token);
    const hash = await this.passwords.hash(password);
    return this.dataSource.transaction((manager) => this.createAccount(manager, token, username, hash));
  }

  private async createAccount(
    manager: EntityManager,
    token: FoundToken<typeof PURPOSE | 'invitation'>,
    username: string,
    hash: string,
  ): Promise<User> {
    await this.tokens.use(manager, token);
    if (token.purpose === 'invitation') await this.invitations.assertInviterMay(manager, token);
    const { tenant, name, roles } = this.grantOf(token);
    const account = { tenant, username, ...(name !== null && { name }), kind: 'user' as const, roles };
    const user = await insertAccount(manager, account);
    if (!user) throw usernameTaken();
    const email = { userId: user.id, address: token.address, verifiedAt: new Date() };
    await manager.createQueryBuilder().insert().into(UserEmail).values(email).orIgnore().execute();
    // Another account got the address in the meantime.
    if (!(await manager.existsBy(UserEmail, { userId: user.id }))) throw invalidMailedToken();
    await manager.insert(Password, { userId: user.id, hash, changedAt: new Date() });
    await this.audit.append(manager, {
      event: 'sensitive_create',
      actor: user,
      target: `user:${user.id}`,
      details: { tenant, roles },
    });
    return user;
  }

  private grantOf(token: FoundToken<typeof PURPOSE | 'invitation'>): {
    tenant: string;
    name: string | null;
    roles: Role[];
  } {
    if (token.purpose === 'invitation')
      return { tenant: token.payload.tenantId, name: null, roles: [token.payload.role] };
    return { tenant: this.config.registrationTenant, name: token.payload.name, roles: ['viewer'] };
  }

  private async createToken(manager: EntityManager, address: string, name: string | null): Promise<string> {
    await manager.delete(AccountToken, { purpose: PURPOSE, address });
    const { id, token } = await this.tokens.create(manager, {
      purpose: PURPOSE,
      accountId: null,
      address,
      payload: { name },
      lifetimeMs: LIFETIME_MS,
    });
    await this.audit.append(manager, {
      event: 'authn_token_created',
      target: `account-token:${id}`,
      details: { purpose: PURPOSE },
    });
    return token;
  }

  private async countUsername({ id }: { readonly id: string }): Promise<void> {
    const waitMs = await withCounterConnection(this.dataSource, () => consumeAll([[this.usernames, id]]));
    if (waitMs !== undefined) throw new TooManyAttempts(waitMs);
  }
}

/**
 * A username with `@` must be the verified address: another one could imitate a person.
 * @throws UnprocessableEntityException `invalid_body`
 */
function usernameFor(address: string, given: string | undefined): string {
  const username = normalizeUsername(given ?? address);
  if (!username && given === undefined)
    throw invalidField(
      'username',
      'Required, because the e-mail address has characters that a username may not have.',
    );
  if (!username)
    throw invalidField(
      'username',
      'Must have 1 to 64 ASCII letters, digits and ._@-, and end in a letter or digit.',
    );
  if (username.includes('@') && username !== address)
    throw invalidField('username', 'Must not be another e-mail address.');
  return username;
}

const usernameTaken = () =>
  new ConflictException({ code: 'username_taken', detail: 'An account has this username.' });
