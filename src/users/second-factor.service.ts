import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { Authenticator } from '../authentication/authenticator.js';
import { BadCredential } from '../authentication/challenge.js';
import { completedAmr, provesMultipleFactors } from '../authentication/factors.js';
import { IssuerRegistry } from '../authentication/issuer-registry.js';
import type { FactorResponse } from '../authentication/method.js';
import { AuditPort } from '../authentication/ports.js';
import type { MethodName, Principal, Proof } from '../authentication/principal.js';
import type { AuthRequest } from '../authentication/request.js';
import { AccountFactors } from './account-factors.service.js';
import { MfaTickets, invalidMfaToken } from './mfa-tickets.service.js';
import { SignInService } from './sign-in.service.js';
import { User } from './user.entity.js';

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
   * Prepares the second step of a sign-in, for factors that need it.
   * @param ticket of {@link MfaRequired}; absent: the cookie's
   * @throws Unauthenticated `invalid_mfa_token`
   * @throws UnprocessableEntityException `invalid_body`
   */
  async beginSecondStep(ticket: string | undefined, name: string, request: AuthRequest): Promise<object> {
    const { user } = await this.openTicket(ticket, request);
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
    const { user, signIn, as } = await this.openTicket(ticket, request);
    const installed = await this.factors.find(user, name);
    const at = new Date();
    const second = await this.verify(user, installed.name, as, () =>
      this.factors.verify(user, installed, response, request),
    );
    await this.authenticated(as, () => this.tickets.use(signIn));
    this.tickets.cookie.clear(request);
    const { method, credentialId, scopes } = signIn;
    const amr = completedAmr(signIn.amr, second.amr);
    return this.signIns.complete(
      { user, method: method as MethodName, credentialId, at, amr, as, scopes },
      request,
    );
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
    const { amr: own } = await this.verify(user, installed.name, issued.method, () =>
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

  private accountOf({ id }: Principal): Promise<User> {
    return this.dataSource.manager.findOneByOrFail(User, { id });
  }

  /** @throws Unauthenticated `invalid_mfa_token` */
  private async openTicket(text: string | undefined, request: AuthRequest) {
    const [fallback] = this.issuers.names;
    const signIn = await this.authenticated(fallback!, async () => this.tickets.read(text, request));
    const as = this.issuers.names.find((name) => name === signIn.as);
    const user = await this.dataSource.manager.findOneBy(User, { id: signIn.accountId });
    return this.authenticated(as ?? fallback!, async () => {
      if (!as) throw invalidMfaToken('its issuer is not installed');
      if (!user || user.disabledAt || user.epoch !== signIn.epoch)
        throw invalidMfaToken(`the sign-in of ${signIn.accountId} has ended`);
      return { user, signIn, as };
    });
  }

  private async verify<T>(user: User, method: string, as: MethodName, check: () => Promise<T>): Promise<T> {
    try {
      return await check();
    } catch (error) {
      if (!(error instanceof BadCredential)) throw error;
      const { code, reason } = error.ofAccount(user);
      const rejection = this.authenticator.unauthenticated(as, error);
      await this.audit.recordRejection(rejection, {
        event: 'authn_login_fail',
        actor: user,
        method,
        details: { code, reason },
      });
      throw rejection;
    }
  }

  private async authenticated<T>(as: MethodName, check: () => Promise<T>): Promise<T> {
    try {
      return await check();
    } catch (error) {
      throw error instanceof BadCredential ? this.authenticator.unauthenticated(as, error) : error;
    }
  }
}
