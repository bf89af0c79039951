import { ForbiddenException, GoneException, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { Authenticator } from '../../authentication/authenticator.js';
import { BadCredential } from '../../authentication/challenge.js';
import { FACTORS } from '../../authentication/factors.js';
import { AuditPort } from '../../authentication/ports.js';
import type { MethodName } from '../../authentication/principal.js';
import type { AuthRequest } from '../../authentication/request.js';
import { Settings } from '../../config/settings.js';
import { MailService } from '../../mail/mail.service.js';
import { normalizeEmailAddress } from '../../users/email-address.js';
import { HostCookie } from '../../users/host-cookie.js';
import { SignInService } from '../../users/sign-in.service.js';
import { UserEmail } from '../../users/user-email.entity.js';
import type { User } from '../../users/user.entity.js';
import type { MagicLink } from './magic-link.entity.js';
import { MAGIC_LINK_LIFETIME_SECONDS, parseCode } from './magic-link.js';
import { MagicLinkLimits } from './magic-link.limits.service.js';
import { signInMail } from './magic-link.mails.js';
import { PendingSignIns } from './magic-link.pending-sign-ins.service.js';

export interface MailOptions {
  readonly as: MethodName;
  readonly scopes?: readonly string[] | null | undefined;
  readonly returnTo?: string | null | undefined;
}

@Injectable()
export class MagicLinkService {
  private readonly cookie: HostCookie;

  constructor(
    private readonly dataSource: DataSource,
    private readonly settings: Settings,
    private readonly pending: PendingSignIns,
    private readonly limits: MagicLinkLimits,
    private readonly mails: MailService,
    private readonly signIns: SignInService,
    private readonly authenticator: Authenticator,
    private readonly audit: AuditPort,
  ) {
    this.cookie = new HostCookie(settings.publicUrl, 'magic-link', MAGIC_LINK_LIFETIME_SECONDS);
  }

  /** Whether a method's credential is a cookie. Only then does a link sign in: a page would display a token. */
  hasLink(as: MethodName): boolean {
    return Boolean(this.authenticator.strategyOf(as).ambient);
  }

  /**
   * Sends a mail to the address, if it is the verified one of an enabled account. The response and the work are the same for every
   * other address.
   * @param email accepted by `EmailAddress`
   * @throws TooManyAttempts
   * @throws ServiceUnavailableException `mail_unavailable`
   */
  async request(email: string, { as, scopes, returnTo }: MailOptions, request: AuthRequest): Promise<void> {
    this.mails.assertAvailable();
    const address = normalizeEmailAddress(email)!;
    const mailbox = this.pending.mailboxOf('sign-in', address);
    await this.limits.countRequest(request.ip, mailbox);
    const user = await this.findUser(address);
    const { token, code, browser } = await this.pending.create(mailbox, user, {
      issuer: as,
      scopes: scopes ? [...scopes] : null,
      returnTo: returnTo ?? null,
    });
    this.cookie.set(browser, request);
    const link = this.hasLink(as) ? `${this.settings.publicUrl}/auth/magic-link?token=${token}` : undefined;
    if (user) this.mails.send(signInMail(address, code, link));
  }

  /**
   * Checks a link without using it up.
   * @returns whether the request comes from the browser that requested the link
   * @throws GoneException `invalid_magic_link`
   */
  async isOwnLink(token: unknown, request: AuthRequest): Promise<boolean> {
    const found = await this.pending.findByToken(token);
    if (!found) throw new InvalidMagicLink();
    return this.pending.isBrowserOf(found, this.cookie.readOne(request));
  }

  /**
   * Uses a link up, and completes the sign-in or starts its second step.
   * @returns the path to redirect to
   * @throws GoneException `invalid_magic_link`
   * @throws ForbiddenException `different_browser`
   * @throws MfaRequired
   */
  async redeemLink(token: unknown, request: AuthRequest): Promise<string> {
    const at = new Date();
    const found = await this.pending.findByToken(token);
    if (!found) throw await this.rejected(new InvalidMagicLink(), 'unknown, used, replaced or expired link');
    if (!this.pending.isBrowserOf(found, this.cookie.readOne(request)))
      throw await this.rejected(differentBrowser(), 'another browser', found.userId);
    if (!(await this.pending.use(found))) throw await this.rejected(new InvalidMagicLink(), 'used meanwhile');
    const user = await this.accountOf(found);
    if (typeof user === 'string') throw await this.rejected(new InvalidMagicLink(), user, found.userId);
    this.cookie.clear(request);
    const { scopes, returnTo } = found;
    await this.complete(user, at, { as: this.signIns.issuerNamed(found.issuer), scopes, returnTo }, request);
    return returnTo ?? '/';
  }

  /**
   * Uses a code up, and completes the sign-in or starts its second step.
   * @returns the body of the issuer's response
   * @throws Unauthenticated `invalid_code`
   * @throws TooManyAttempts
   * @throws MfaRequired
   */
  async redeemCode(email: string, code: string, options: MailOptions, request: AuthRequest): Promise<object> {
    const at = new Date();
    const mailbox = this.pending.mailboxOf('sign-in', normalizeEmailAddress(email)!);
    const user = await this.limits.countGuess(request.ip, mailbox, async () => {
      const found = await this.pending.useCode(mailbox, parseCode(code));
      const account = found ? await this.accountOf(found) : 'wrong, used, replaced or expired code';
      if (typeof account !== 'string') return account;
      const error = new BadCredential('invalid_code', account);
      const rejection = this.authenticator.unauthenticated(options.as, error);
      throw await this.rejected(rejection, account, found?.userId);
    });
    return this.complete(user, at, options, request);
  }

  private complete(
    user: User,
    at: Date,
    { as, scopes, returnTo }: MailOptions,
    request: AuthRequest,
  ): Promise<object> {
    const { amr } = FACTORS['magic-link'];
    const signIn = { user, method: 'magic-link', at, amr, as } as const;
    return this.signIns.complete(
      { ...signIn, scopes: scopes ?? undefined, returnTo: returnTo ?? undefined },
      request,
    );
  }

  private async findUser(address: string): Promise<User | undefined> {
    const found = await this.dataSource.manager.findOne(UserEmail, {
      where: { address },
      relations: { user: true },
    });
    return found && isUsable(found) ? found.user : undefined;
  }

  /** The account of a request, if it has not changed since. @returns a reason for the log otherwise */
  private async accountOf({ userId, mailbox, epoch }: MagicLink): Promise<User | string> {
    const email = await this.dataSource.manager.findOne(UserEmail, {
      where: { userId: userId! },
      relations: { user: true },
    });
    if (!email || !isUsable(email)) return 'the account is disabled, or its address is unverified';
    if (this.pending.mailboxOf('sign-in', email.address) !== mailbox)
      return 'the account has another address';
    if (email.user!.epoch !== epoch) return 'all sign-ins of the account were ended';
    return email.user!;
  }

  /** Records a rejected sign-in. Without the typed address, which may be of anybody. */
  private async rejected<T extends Error>(error: T, reason: string, userId?: string | null): Promise<T> {
    const details = { reason, ...(userId && { userId }) };
    await this.audit.recordRejection(error, { event: 'authn_login_fail', method: 'magic-link', details });
    return error;
  }
}

const isUsable = ({ verifiedAt, user }: UserEmail): boolean =>
  verifiedAt !== null && user?.kind === 'user' && user.disabledAt === null;

/** 410: the same for a link that is unknown, used, replaced or expired. */
export class InvalidMagicLink extends GoneException {
  constructor() {
    super({
      code: 'invalid_magic_link',
      detail: 'This link is no longer valid. Request a new one where you want to sign in.',
    });
  }
}

const differentBrowser = () =>
  new ForbiddenException({
    code: 'different_browser',
    detail: 'This link works only in the browser that requested it. Type the code of the mail there.',
  });
