import { BadRequestException, Inject, Injectable } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import type { IDToken } from 'openid-client';
import { DataSource } from 'typeorm';
import { Authenticator, AUTH_METHODS } from '../../authentication/authenticator.js';
import { BadCredential } from '../../authentication/challenge.js';
import { IssuerRegistry } from '../../authentication/issuer-registry.js';
import type { AuthMethod } from '../../authentication/method.js';
import type { AuthRequest } from '../../authentication/request.js';
import type { MethodName } from '../../authentication/principal.js';
import { AuditPort } from '../../authentication/ports.js';
import { User } from '../../users/user.entity.js';
import { principalOf } from '../../users/principal-of.js';
import type { Provider } from './oidc-login.config.js';
import type { OidcIdentity } from './oidc-login.entity.js';
import { Exchange } from './oidc-login.code-flow.service.js';
import { RefusedThere } from './oidc-login.errors.js';
import { Identities, type Found } from './oidc-login.linked-identities.service.js';
import { authenticatedAt, methodsOf, newTransaction, type Goal } from './oidc-login.js';
import { Transactions } from './oidc-login.pending-authorizations.service.js';

/** How a way to a provider and back has ended. */
export interface Ending {
  readonly returnTo?: string | undefined;
  /** What the issuer says. */
  readonly issued?: object;
  readonly linked?: OidcIdentity;
}

@Injectable()
export class OidcCeremony {
  constructor(
    private readonly exchange: Exchange,
    private readonly transactions: Transactions,
    private readonly identities: Identities,
    private readonly issuers: IssuerRegistry,
    private readonly authenticator: Authenticator,
    private readonly audit: AuditPort,
    private readonly dataSource: DataSource,
    @Inject(AUTH_METHODS) private readonly methods: readonly AuthMethod[],
    private readonly modules: ModuleRef,
  ) {}

  /**
   * Begins, in the browser that asks.
   * @param as the name of an installed method that issues
   * @returns where the browser goes next
   */
  async begin(
    provider: Provider,
    wanted: { as: MethodName; goal: Goal; returnTo?: string | undefined },
    request: AuthRequest,
  ): Promise<URL> {
    const transaction = newTransaction(wanted);
    const url = await this.exchange.authorizationUrl(provider, transaction);
    this.transactions.begin(provider.id, transaction, request);
    return url;
  }

  /** Whether a browser keeps by itself what a method issues: what stands in the answer alone is lost on the next page. */
  isKept(as: MethodName): boolean {
    const strategy = this.methods.find(({ name }) => name === as)?.strategy;
    return Boolean(strategy && this.modules.get(strategy, { strict: false }).ambient);
  }

  /**
   * Ends, with the provider's answer.
   * @throws Unauthenticated `invalid_identity`, `identity_not_linked`
   * @throws HttpException `invalid_transaction`, and what the provider's refusals become
   */
  async end(provider: Provider, request: AuthRequest): Promise<Ending> {
    const query = new URLSearchParams(request.target.replace(/^[^?]*/, ''));
    const transaction = await this.transactions.end(provider.id, query.getAll('state'), request);
    const as = this.issuers.names.find((name) => name === transaction.as);
    if (!as) throw new BadRequestException({ code: 'invalid_transaction', detail: 'Begin again.' });
    try {
      const claims = await this.exchange.claimsOf(provider, query, transaction);
      const { goal, returnTo } = transaction;
      if (goal.kind === 'link') return { returnTo, linked: await this.link(provider, claims, goal) };
      return { returnTo, issued: await this.signIn(provider, claims, as, request) };
    } catch (error) {
      throw await this.written(error, provider, as);
    }
  }

  /** What to answer to a failed sign-in, once it is in the audit log. What is the provider's fault is not written there. */
  private async written(error: unknown, { id: provider }: Provider, as: MethodName): Promise<unknown> {
    if (!(error instanceof BadCredential || error instanceof RefusedThere)) return error;
    const refusal = error instanceof RefusedThere ? error : this.authenticator.unauthenticated(as, error);
    const { code, reason, account } = error;
    await this.audit.recordRejection(refusal, {
      event: 'authn_login_fail',
      actor: account,
      method: 'oidc-login',
      details: { code, reason, provider },
    });
    return refusal;
  }

  private async signIn(provider: Provider, claims: IDToken, as: MethodName, request: AuthRequest) {
    const found = await this.accountOf(provider, claims);
    const proof = {
      method: 'oidc-login',
      credentialId: found.id,
      at: authenticatedAt(claims.auth_time),
      amr: provider.trustAmr ? methodsOf(claims['amr']) : [],
      bound: false,
    } as const;
    const principal = principalOf(found.user, proof, refused);
    this.identities.used(found);
    // The epoch came with the identity, in one row: if all sign-ins are ended by now, this one is over already.
    return this.issuers.find(as)!.issue(principal, begunHere(request), found.user.epoch);
  }

  private async accountOf(provider: Provider, claims: IDToken): Promise<Found> {
    const found =
      (await this.identities.find(claims)) ??
      (provider.create && (await this.identities.create(provider, provider.create.roles, claims)));
    if (!found) throw new BadCredential('identity_not_linked', 'no account is linked to that subject');
    if (found.user.tenantId !== provider.tenant)
      throw refused(`the account ${found.user.id} is of another tenant`).ofAccount(found.user);
    return found;
  }

  private async link(
    provider: Provider,
    claims: IDToken,
    { userId, epoch }: Goal & { kind: 'link' },
  ): Promise<OidcIdentity> {
    const account = await this.dataSource.manager.findOneBy(User, { id: userId });
    if (!account || account.disabledAt || account.epoch !== epoch)
      throw refused(`the sign-in of ${userId} is over, in which it was to be linked`);
    if (account.tenantId !== provider.tenant) throw refused(`the account ${userId} is of another tenant`);
    return this.identities.link(provider, account, claims);
  }
}

const refused = (reason: string) => new BadCredential('invalid_identity', reason);

/**
 * An issuer does not let another site sign anybody in, and the browser comes from the provider's. But it began here, in this
 * very browser: that is what the transaction shows.
 */
const begunHere = (request: AuthRequest): AuthRequest =>
  Object.assign(Object.create(request) as AuthRequest, {
    header: (name: string) => (/^(?:origin|sec-fetch-site)$/i.test(name) ? undefined : request.header(name)),
  });
