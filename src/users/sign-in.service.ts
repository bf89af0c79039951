import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { Authenticator } from '../authentication/authenticator.js';
import { BadCredential, Unauthenticated } from '../authentication/challenge.js';
import { completedAmr, provesSecondFactor } from '../authentication/factors.js';
import { IssuerRegistry } from '../authentication/issuer-registry.js';
import type { FactorResponse, Issuer } from '../authentication/method.js';
import { AuditPort } from '../authentication/ports.js';
import type { MethodName, Principal, Proof } from '../authentication/principal.js';
import type { AuthRequest } from '../authentication/request.js';
import { AccountFactors, invalidField } from './account-factors.service.js';
import { MFA_TICKET_LIFETIME_SECONDS, MfaTickets, invalidMfaToken } from './mfa-tickets.service.js';
import { User, needsSecondFactor, principalOf } from './user.entity.js';

/** The first factor of a sign-in, verified by a ceremony. */
export interface SignIn {
  /** Read before or together with the proof, so that a logout everywhere in the meantime ends this sign-in, too. */
  readonly user: User;
  readonly method: MethodName;
  readonly at: Date;
  /** From the table of factors. */
  readonly amr: readonly string[];
  readonly credentialId?: string | undefined;
  /** The method that issues the credential. */
  readonly as: MethodName;
  /** Limits the issued credential. */
  readonly scopes?: readonly string[] | undefined;
  /** The error code of a disabled account. */
  readonly rejectedAs?: string | undefined;
}

/** Finishes the sign-ins of all ceremonies, and steps up. */
@Injectable()
export class SignInService {
  constructor(
    private readonly dataSource: DataSource,
    private readonly authenticator: Authenticator,
    private readonly issuers: IssuerRegistry,
    private readonly factors: AccountFactors,
    private readonly tickets: MfaTickets,
    private readonly audit: AuditPort,
  ) {}

  /**
   * The issuer that a request names.
   * @throws UnprocessableEntityException `invalid_body`
   */
  issuerNamed(as: string): MethodName {
    const name = this.issuers.names.find((each) => each === as);
    if (name) return name;
    throw invalidField('as', `Must be one of: ${this.issuers.names.join(', ')}.`);
  }

  /**
   * Issues the credential of a sign-in, or starts the second step.
   * @returns the body of the issuer's response
   * @throws BadCredential if the account is disabled
   * @throws MfaRequired if the account has a second factor that this sign-in has not proved
   */
  async complete(signIn: SignIn, request: AuthRequest): Promise<object> {
    const { user, method, at, amr, credentialId, as, scopes, rejectedAs = 'invalid_credentials' } = signIn;
    if (!user.disabledAt && needsSecondFactor(user, signIn)) throw await this.secondStep(signIn, request);
    const proof: Proof = {
      method,
      ...(credentialId !== undefined && { credentialId }),
      at,
      amr,
      bound: false,
      signIn: true,
    };
    return this.issuerOf(as).issue(
      principalOf(user, proof, (reason) => new BadCredential(rejectedAs, reason), scopes),
      request,
      user.epoch,
    );
  }

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
    return this.complete({ user, method: method as MethodName, credentialId, at, amr, as, scopes }, request);
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
    const isComplete = provesSecondFactor(own) && installed.properties.acr.alone !== undefined;
    const amr = installed.properties.second && !isComplete ? completedAmr(issued.amr, own) : own;
    const body = await this.issuerOf(issued.method).stepUp(caller, { at, amr }, request);
    await this.audit.record({
      event: 'authn_login_success',
      actor: caller,
      method: installed.name,
      details: { stepUp: true },
    });
    return body;
  }

  private issuerOf(as: MethodName): Issuer {
    return this.issuers.find(as)!;
  }

  private accountOf({ id }: Principal): Promise<User> {
    return this.dataSource.manager.findOneByOrFail(User, { id });
  }

  private async secondStep(signIn: SignIn, request: AuthRequest): Promise<MfaRequired> {
    const { user, method, amr, credentialId, as, scopes } = signIn;
    const ticket = this.tickets.create({
      accountId: user.id,
      epoch: user.epoch,
      as,
      method,
      amr: [...amr],
      ...(credentialId !== undefined && { credentialId }),
      ...(scopes && { scopes: [...scopes] }),
    });
    if (this.authenticator.strategyOf(as).ambient) this.tickets.cookie.set(ticket, request);
    const usable = await this.factors.usable(user);
    return new MfaRequired(
      this.authenticator.challengesOf(as),
      ticket,
      usable.map(({ name }) => name),
    );
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

/** 401: the first factor is correct, and the account has a second one. */
export class MfaRequired extends Unauthenticated {
  constructor(challenges: Unauthenticated['challenges'], ticket: string, factors: readonly string[]) {
    const code = 'mfa_required';
    const detail = 'This account has a second factor. Prove one of `factors` at /auth/mfa.';
    super(challenges, code, detail, undefined, {
      mfa_token: ticket,
      factors,
      expires_in: MFA_TICKET_LIFETIME_SECONDS,
    });
  }
}
