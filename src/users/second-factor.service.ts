import { BadRequestException, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { Authenticator } from '../authentication/authenticator.js';
import { BadCredential } from '../authentication/challenge.js';
import { completedAmr, provesMultipleFactors } from '../authentication/factors.js';
import { IssuerRegistry } from '../authentication/issuer-registry.js';
import type { FactorResponse } from '../authentication/method.js';
import { AuditPort } from '../authentication/ports.js';
import type { MethodName, Principal, Proof } from '../authentication/principal.js';
import type { AuthRequest } from '../authentication/request.js';
import type { FactorForm } from '../pages/factor-forms.js';
import { AccountFactors, type InstalledFactor } from './account-factors.service.js';
import { MfaTickets, invalidMfaToken } from './mfa-tickets.service.js';
import { SignInService } from './sign-in.service.js';
import { User } from './user.entity.js';

/** The ends of sign-ins for which a ticket may be: the names of issuers, or `oauth` for the pages of the authorization server. */
type Purpose = readonly string[];

/** Verifies factors of known accounts: the second step of a sign-in, and step-ups (RFC 9470). */
@Injectable()
export class SecondFactorService {
  constructor(
    private readonly dataSource: DataSource,
    private readonly authenticator: Authenticator,
    private readonly issuers: IssuerRegistry,
    private readonly signIns: SignInService,
    private readonly factors: AccountFactors,
    private readonly tickets: MfaTickets,
    private readonly audit: AuditPort,
  ) {}

  /**
   * The factors that complete the sign-in of a ticket.
   * @param purpose the issuers, or another end of the sign-in, for which the ticket may be
   * @throws BadCredential `invalid_mfa_token`
   */
  async usableFor(purpose: Purpose, ticket: string | undefined, request: AuthRequest) {
    const { user } = await this.openTicket(purpose, ticket, request);
    return { user, factors: await this.factors.usable(user) };
  }

  /**
   * Verifies the second factor of a sign-in, and uses the ticket up.
   * @param ticket of {@link MfaRequired}; absent: the cookie's
   * @returns the sign-in with both factors
   * @throws BadCredential `invalid_mfa_token`, `invalid_factor`
   * @throws UnprocessableEntityException `invalid_body`
   * @throws TooManyAttempts
   */
  async proveSecondStep(
    purpose: Purpose,
    ticket: string | undefined,
    name: string,
    response: FactorResponse,
    request: AuthRequest,
  ) {
    const { user, signIn } = await this.openTicket(purpose, ticket, request);
    const installed = await this.factors.find(user, name);
    const at = new Date();
    const { amr } = await this.factors.verify(user, installed, response, request);
    await this.tickets.use(signIn);
    this.tickets.cookie.clear(request);
    return { ...signIn, user, at, amr: completedAmr(signIn.amr, amr) };
  }

  /**
   * Prepares the second step of a sign-in, for factors that need it.
   * @param ticket of {@link MfaRequired}; absent: the cookie's
   * @throws Unauthenticated `invalid_mfa_token`
   * @throws UnprocessableEntityException `invalid_body`
   */
  async beginSecondStep(ticket: string | undefined, name: string, request: AuthRequest): Promise<object> {
    const { names } = this.issuers;
    const { user } = await this.orUnauthenticated(names[0]!, name, () =>
      this.openTicket(names, ticket, request),
    );
    const { factor } = await this.factors.find(user, name);
    return (await factor.begin?.(user.id, request)) ?? {};
  }

  /**
   * Completes a sign-in by a second factor.
   * @param ticket of {@link MfaRequired}; absent: the cookie's
   * @returns the body of the issuer's response
   * @throws Unauthenticated `invalid_mfa_token`, `invalid_factor`
   * @throws UnprocessableEntityException `invalid_body`
   * @throws TooManyAttempts
   */
  async completeSecondStep(
    ticket: string | undefined,
    name: string,
    response: FactorResponse,
    request: AuthRequest,
  ): Promise<object> {
    const { names } = this.issuers;
    const proved = await this.orUnauthenticated(names[0]!, name, () =>
      this.proveSecondStep(names, ticket, name, response, request),
    );
    const [method, as] = [proved.method, proved.as] as MethodName[];
    return this.signIns.complete({ ...proved, method: method!, as: as! }, request);
  }

  /**
   * Prepares a step-up, for factors that need it.
   * @throws UnprocessableEntityException `invalid_body`
   */
  async beginStepUp(caller: Principal, name: string, request: AuthRequest): Promise<object> {
    const { factor } = await this.factors.find(await this.accountOf(caller), name);
    return (await factor.begin?.(caller.id, request)) ?? {};
  }

  /**
   * Stores a fresh authentication in the caller's session or token.
   * @param issued the proof of the session or token
   * @returns the body of the issuer's response
   * @throws Unauthenticated `invalid_factor`
   * @throws UnprocessableEntityException `invalid_body`
   * @throws TooManyAttempts
   */
  async stepUp(
    caller: Principal,
    issued: Proof,
    name: string,
    response: FactorResponse,
    request: AuthRequest,
  ): Promise<object> {
    const user = await this.accountOf(caller);
    const installed = await this.factors.find(user, name);
    const at = new Date();
    const { amr: own } = await this.orUnauthenticated(issued.method, name, () =>
      this.factors.verify(user, installed, response, request),
    );
    const isCompleted = installed.properties.second && !provesMultipleFactors(own);
    const amr = isCompleted ? completedAmr(issued.amr, own) : own;
    const body = await this.issuers.find(issued.method)!.stepUp(caller, { at, amr }, request);
    await this.audit.record({
      event: 'authn_login_success',
      actor: caller,
      method: installed.name,
      details: { stepUp: true },
    });
    return body;
  }

  /**
   * The proof of the session or token of a sign-in, which can step up.
   * @throws BadRequestException `not_signed_in`
   */
  issuedProof({ proofs }: Principal): Proof {
    const issued = proofs.find(
      ({ method, signIn, restricted }) => signIn && !restricted && this.issuers.find(method),
    );
    if (issued) return issued;
    throw new BadRequestException({
      code: 'not_signed_in',
      detail: 'Only a session or a token of a sign-in can step up.',
    });
  }

  /** The factors with which the account steps up. */
  async usableForStepUp(caller: Principal): Promise<InstalledFactor[]> {
    return this.factors.usable(await this.accountOf(caller));
  }

  /** The forms with which a page proves factors. Prepares the proofs that a script sends. */
  formsFor(
    accountId: string,
    factors: readonly InstalledFactor[],
    request: AuthRequest,
  ): Promise<FactorForm[]> {
    return Promise.all(
      factors.map(async ({ name, properties: { label }, factor }) => {
        const { responseField = 'code', script } = factor;
        const options = script !== undefined && (await factor.begin?.(accountId, request));
        const sendsCode = script === undefined && 'begin' in factor;
        return { name, label, responseField, sendsCode, ...(options && { options, script }) };
      }),
    );
  }

  /** The path to which a page goes after the sign-in of the cookie's ticket. */
  returnToOf(request: AuthRequest): string | undefined {
    try {
      return this.tickets.read(undefined, request).returnTo;
    } catch (error) {
      if (error instanceof BadCredential) return undefined;
      throw error;
    }
  }

  private accountOf({ id }: Principal): Promise<User> {
    return this.dataSource.manager.findOneByOrFail(User, { id });
  }

  /** @throws BadCredential `invalid_mfa_token` */
  private async openTicket(purpose: Purpose, text: string | undefined, request: AuthRequest) {
    const signIn = this.tickets.read(text, request);
    if (!purpose.includes(signIn.as)) throw invalidMfaToken('of a sign-in for another purpose');
    const user = await this.dataSource.manager.findOneBy(User, { id: signIn.accountId });
    if (!user || user.disabledAt || user.epoch !== signIn.epoch)
      throw invalidMfaToken(`the sign-in of ${signIn.accountId} has ended`);
    return { user, signIn };
  }

  /**
   * Audits a rejected proof, and converts it to a 401.
   * @param as the issuer whose challenge the 401 has
   */
  private async orUnauthenticated<T>(as: MethodName, factor: string, check: () => Promise<T>): Promise<T> {
    try {
      return await check();
    } catch (error) {
      if (!(error instanceof BadCredential)) throw error;
      if (error.account) throw await this.signIns.rejection(error, as, this.factors.nameOf(factor));
      throw this.authenticator.unauthenticated(as, error);
    }
  }
}
