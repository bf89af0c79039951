import { Injectable, NotFoundException } from '@nestjs/common';
import { Authenticator } from '../authentication/authenticator.js';
import { BadCredential, Unauthenticated } from '../authentication/challenge.js';
import { completedAmr } from '../authentication/factors.js';
import { IssuerRegistry } from '../authentication/issuer-registry.js';
import type { Issuer } from '../authentication/method.js';
import { AuditPort, NoticePort } from '../authentication/ports.js';
import type { MethodName, Principal, Proof } from '../authentication/principal.js';
import type { AuthRequest } from '../authentication/request.js';
import { AccountFactors, invalidField } from './account-factors.service.js';
import { MFA_TICKET_LIFETIME_SECONDS, MfaTickets } from './mfa-tickets.service.js';
import { type User, needsSecondFactor, principalOf } from './user.entity.js';

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
  /** The path to which a page goes after the sign-in. */
  readonly returnTo?: string | undefined;
  /** The error code of a disabled account. */
  readonly rejectedAs?: string | undefined;
}

/** Finishes the sign-ins of all ceremonies. */
@Injectable()
export class SignInService {
  constructor(
    private readonly authenticator: Authenticator,
    private readonly issuers: IssuerRegistry,
    private readonly factors: AccountFactors,
    private readonly tickets: MfaTickets,
    private readonly audit: AuditPort,
    private readonly notices: NoticePort,
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
   * The issuer for pages: its credential is a cookie.
   * @throws NotFoundException if none is installed
   */
  cookieIssuer(): MethodName {
    const name = this.issuers.names.find((each) => this.authenticator.strategyOf(each).ambient);
    if (name) return name;
    throw new NotFoundException({
      code: 'not_found',
      detail: 'Pages need a method whose credential is a cookie.',
    });
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
    const issued = await this.issuerOf(as).issue(
      principalOf(user, proof, (reason) => new BadCredential(rejectedAs, reason), scopes),
      request,
      user.epoch,
    );
    this.notices.signedIn(user.id);
    return issued;
  }

  /**
   * Audits a rejected proof.
   * @param as the issuer whose challenge the 401 has
   * @param method the one whose proof was rejected
   * @returns the 401, to throw
   */
  async rejection(error: BadCredential, as: MethodName, method?: string): Promise<Unauthenticated> {
    const rejection = this.authenticator.unauthenticated(as, error);
    const { code, reason, account } = error;
    // Without the typed username: people sometimes type their password there.
    await this.audit.recordRejection(rejection, {
      event: 'authn_login_fail',
      actor: account,
      method,
      details: { code, reason },
    });
    return rejection;
  }

  /**
   * Issues the caller's credential again after all sign-ins of the account ended.
   * @param epoch the account's new epoch
   * @param second the `amr` of a second factor that the caller has just proved by setting it up
   * @returns the body of the issuer's response; undefined if the caller's method has no issuer
   */
  async reissue(
    caller: Principal,
    epoch: number,
    request: AuthRequest,
    second?: readonly string[],
  ): Promise<object | undefined> {
    const issued = caller.proofs.find(({ method }) => this.issuers.find(method));
    if (!issued) return undefined;
    const proof = second ? { ...issued, at: new Date(), amr: completedAmr(issued.amr, second) } : issued;
    return this.issuerOf(issued.method).issue({ ...caller, proofs: [proof] }, request, epoch);
  }

  private issuerOf(as: MethodName): Issuer {
    return this.issuers.find(as)!;
  }

  private async secondStep(signIn: SignIn, request: AuthRequest): Promise<MfaRequired> {
    const { user, method, amr, credentialId, as, scopes, returnTo } = signIn;
    const ticket = this.tickets.create({
      accountId: user.id,
      epoch: user.epoch,
      as,
      method,
      amr: [...amr],
      ...(credentialId !== undefined && { credentialId }),
      ...(scopes && { scopes: [...scopes] }),
      ...(returnTo !== undefined && { returnTo }),
    });
    if (this.authenticator.strategyOf(as).ambient) this.tickets.cookie.set(ticket, request);
    const usable = await this.factors.usable(user);
    return new MfaRequired(
      this.authenticator.challengesOf(as),
      ticket,
      usable.map(({ name }) => name),
    );
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
