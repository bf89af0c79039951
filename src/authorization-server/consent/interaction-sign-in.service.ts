import { HttpException, Injectable, UnprocessableEntityException } from '@nestjs/common';
import type { InteractionResults } from 'oidc-provider';
import { DataSource } from 'typeorm';
import { BadCredential } from '../../authentication/challenge.js';
import { AuditPort, NoticePort } from '../../authentication/ports.js';
import { FACTORS, acrFor } from '../../authentication/factors.js';
import type { FactorResponse } from '../../authentication/method.js';
import type { AuthRequest } from '../../authentication/request.js';
import { PasswordsService } from '../../passwords/passwords.service.js';
import { REJECTED_FACTOR, type FactorForm } from '../../pages/factor-forms.js';
import { AccountFactors } from '../../users/account-factors.service.js';
import { MfaTickets } from '../../users/mfa-tickets.service.js';
import { SecondFactorService } from '../../users/second-factor.service.js';
import { User, needsSecondFactor } from '../../users/user.entity.js';

/** The purpose of the tickets of sign-ins on these pages. */
const PURPOSE = ['oauth'];

export type SignInResult = Pick<Required<InteractionResults>, 'login'>;

/** A failed sign-in, with the message for the person. */
export interface SignInFailure {
  readonly status: number;
  /** Absent if nothing failed yet. */
  readonly message?: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Present if the person can try the second step again. */
  readonly secondStep?: SecondStep | undefined;
}

/** The password is correct, and the account has a second factor. */
export interface SecondStep {
  readonly ticket: string;
  readonly factors: readonly FactorForm[];
}

/** A form of the second step. */
export interface SecondStepForm extends FactorResponse {
  readonly mfa_token: string;
  readonly factor: string;
}

/** Signs people in on the pages of the authorization server. Machine accounts cannot sign in there. */
@Injectable()
export class InteractionSignIn {
  constructor(
    private readonly passwords: PasswordsService,
    private readonly secondFactor: SecondFactorService,
    private readonly factors: AccountFactors,
    private readonly dataSource: DataSource,
    private readonly tickets: MfaTickets,
    private readonly audit: AuditPort,
    private readonly notices: NoticePort,
  ) {}

  /** @param requested the requested context classes (`acr`) */
  async signIn(
    username: string,
    password: string,
    requested: readonly string[],
    request: AuthRequest,
  ): Promise<SignInResult | SignInFailure> {
    const at = new Date();
    return this.orFailure('The username or the password is incorrect.', async () => {
      const user = await this.verify(username, password, request.ip);
      const { amr } = FACTORS.password;
      if (!needsSecondFactor(user, { amr })) return this.finish({ user, at, amr }, requested);
      const ticket = this.tickets.create({
        accountId: user.id,
        epoch: user.epoch,
        as: PURPOSE[0]!,
        method: 'password',
        amr: [...amr],
      });
      return { status: 200, headers: {}, secondStep: await this.secondStep(ticket, request) };
    });
  }

  /** The forms of the factors that sign in alone, without a username. */
  formsAlone(request: AuthRequest): Promise<FactorForm[]> {
    return Promise.all(
      this.factors.installed.flatMap(({ name, properties: { label }, factor }) => {
        const { responseField = 'credential', script } = factor;
        const options = factor.beginAlone?.(request);
        return options
          ? [options.then((each) => ({ name, label, responseField, script, options: each }))]
          : [];
      }),
    );
  }

  /** Signs in by one factor alone. */
  async signInAlone(
    { factor: name, ...response }: Omit<SecondStepForm, 'mfa_token'>,
    requested: readonly string[],
    request: AuthRequest,
  ): Promise<SignInResult | SignInFailure> {
    const at = new Date();
    return this.orFailure('This passkey is unknown here, or it was not used in time.', async () => {
      const factor = this.factors.installed.find((each) => each.name === name)?.factor;
      const proved = await factor?.verifyAlone?.(response, request);
      if (!proved) throw new BadCredential('invalid_factor', 'no factor that signs in alone');
      const user = await this.dataSource.manager.findOneByOrFail(User, { id: proved.accountId });
      if (user.kind !== 'user' || user.disabledAt)
        throw new BadCredential('invalid_credentials', `the account ${user.id} is disabled`).ofAccount(user);
      return this.finish(
        { user: { ...user, epoch: proved.epoch }, at, amr: proved.amr, method: name },
        requested,
      );
    });
  }

  /** Completes a sign-in by a second factor. */
  async complete(
    { mfa_token, factor, ...response }: SecondStepForm,
    requested: readonly string[],
    request: AuthRequest,
  ): Promise<SignInResult | SignInFailure> {
    const result = await this.orFailure(REJECTED_FACTOR, async () => {
      const proved = await this.secondFactor.proveSecondStep(PURPOSE, mfa_token, factor, response, request);
      return this.finish(proved, requested);
    });
    if ('login' in result) return result;
    // Absent if the ticket has expired: the person starts again.
    const secondStep = await this.secondStep(mfa_token, request).catch(() => undefined);
    return { ...result, secondStep };
  }

  private async finish(
    { user, at, amr, method = 'password' }: { user: User; at: Date; amr: readonly string[]; method?: string },
    requested: readonly string[],
  ): Promise<SignInResult> {
    await this.audit.record({
      event: 'authn_login_success',
      actor: user,
      method,
      details: { as: 'oauth' },
    });
    this.notices.signedIn(user.id);
    // The epoch was read with the password hash. "Log out everywhere" during this request ends the new session, too.
    const { id: accountId, epoch } = user;
    const ts = Math.floor(at.getTime() / 1000);
    return { login: { accountId, epoch, ts, remember: false, amr: [...amr], acr: acrFor(amr, requested) } };
  }

  private async secondStep(ticket: string, request: AuthRequest): Promise<SecondStep> {
    const { user, factors } = await this.secondFactor.usableFor(PURPOSE, ticket, request);
    return { ticket, factors: await this.secondFactor.formsFor(user.id, factors, request) };
  }

  private async orFailure<T extends SignInResult>(
    message: string,
    signIn: () => Promise<T | SignInFailure>,
  ): Promise<T | SignInFailure> {
    try {
      return await signIn();
    } catch (error) {
      if (error instanceof BadCredential) return this.rejected(error, message);
      if (error instanceof UnprocessableEntityException) return { status: 422, message, headers: {} };
      if (error instanceof HttpException && 'headers' in error) return rateLimited(error);
      throw error;
    }
  }

  private async verify(username: string, password: string, ip: string): Promise<User> {
    const user = await this.passwords.verify(username, password, ip);
    if (user.kind === 'user') return user;
    throw new BadCredential('invalid_credentials', `the account ${user.id} is a machine`).ofAccount(user);
  }

  private async rejected(error: BadCredential, message: string): Promise<SignInFailure> {
    const { code, reason, account } = error;
    // The typed username is not recorded: people sometimes type their password into that field.
    await this.audit.recordRejection(error, {
      event: 'authn_login_fail',
      actor: account,
      method: 'password',
      details: { code, reason, as: 'oauth' },
    });
    // Not 401, which requires a WWW-Authenticate challenge (RFC 9110 section 15.5.2). Forms have no such scheme.
    return { status: 422, message, headers: {} };
  }
}

const rateLimited = (error: HttpException & { headers?: unknown }): SignInFailure => ({
  status: error.getStatus(),
  message:
    error.getStatus() === 429
      ? 'Too many failed attempts. Wait a while, then try again.'
      : 'Too many sign-ins are in progress. Try again.',
  headers: error.headers as Record<string, string>,
});
