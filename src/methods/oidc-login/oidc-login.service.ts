import { Inject, Injectable } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import type { IDToken } from 'openid-client';
import { DataSource } from 'typeorm';
import { Authenticator, AUTH_METHODS } from '../../authentication/authenticator.js';
import { BadCredential } from '../../authentication/challenge.js';
import { FACTORS } from '../../authentication/factors.js';
import { IssuerRegistry } from '../../authentication/issuer-registry.js';
import type { AuthMethod } from '../../authentication/method.js';
import { AuditPort } from '../../authentication/ports.js';
import type { MethodName } from '../../authentication/principal.js';
import type { AuthRequest } from '../../authentication/request.js';
import { SignInService } from '../../users/sign-in.service.js';
import { User } from '../../users/user.entity.js';
import { AuthorizationCodeFlow } from './oidc-login.code-flow.service.js';
import type { OidcProvider } from './oidc-login.config.js';
import type { OidcIdentity } from './oidc-login.entity.js';
import { ProviderDenied } from './oidc-login.errors.js';
import { dateOfAuthTime, newAuthorization, parseAmr, type AuthorizationPurpose } from './oidc-login.js';
import { LinkedIdentities, type IdentityWithUser } from './oidc-login.linked-identities.service.js';
import { PendingAuthorizations, invalidState } from './oidc-login.pending-authorizations.service.js';

export interface CallbackResult {
  readonly returnTo?: string | undefined;
  /** The issuer's response, after a sign-in. */
  readonly issued?: object;
  /** The linked identity, after a link. */
  readonly linked?: OidcIdentity;
}

/** Signs users in at a provider, and links their identities there with accounts here. */
@Injectable()
export class OidcLoginService {
  constructor(
    private readonly flow: AuthorizationCodeFlow,
    private readonly pending: PendingAuthorizations,
    private readonly identities: LinkedIdentities,
    private readonly issuers: IssuerRegistry,
    private readonly signIns: SignInService,
    private readonly authenticator: Authenticator,
    private readonly audit: AuditPort,
    private readonly dataSource: DataSource,
    @Inject(AUTH_METHODS) private readonly methods: readonly AuthMethod[],
    private readonly modules: ModuleRef,
  ) {}

  /**
   * Starts an authorization request and sets its cookie.
   * @param options `as` is an installed method with an issuer
   * @returns the URL at the provider to redirect the browser to
   */
  async start(
    provider: OidcProvider,
    options: { as: MethodName; purpose: AuthorizationPurpose; returnTo?: string | undefined },
    request: AuthRequest,
  ): Promise<URL> {
    const authorization = newAuthorization(options);
    const url = await this.flow.authorizationUrl(provider, authorization);
    this.pending.save(provider.id, authorization, request);
    return url;
  }

  /** Whether a method's credential is a cookie. Only then can the callback redirect: a page cannot read its response. */
  isAmbient(as: MethodName): boolean {
    const strategy = this.methods.find(({ name }) => name === as)?.strategy;
    return Boolean(strategy && this.modules.get(strategy, { strict: false }).ambient);
  }

  /**
   * Handles the callback: validates the provider's response, then signs in or links.
   * @throws Unauthenticated `invalid_identity`, `identity_not_linked`
   * @throws HttpException `invalid_state`, `access_denied`, `provider_error`, `provider_unavailable`
   */
  async handleCallback(provider: OidcProvider, request: AuthRequest): Promise<CallbackResult> {
    const query = new URLSearchParams(request.target.replace(/^[^?]*/, ''));
    const authorization = await this.pending.consume(provider.id, query.getAll('state'), request);
    const as = this.issuers.names.find((name) => name === authorization.as);
    if (!as) throw invalidState();
    const { purpose, returnTo } = authorization;
    try {
      const claims = await this.flow.redeemCode(provider, query, authorization);
      if (purpose.kind === 'link') return { returnTo, linked: await this.link(provider, claims, purpose) };
      return { returnTo, issued: await this.signIn(provider, claims, { as, returnTo }, request) };
    } catch (error) {
      throw await this.recordRejection(error, provider, as);
    }
  }

  /** Records a rejected sign-in in the audit log and returns its response. Failures of the provider are not recorded. */
  private async recordRejection(
    error: unknown,
    { id: provider }: OidcProvider,
    as: MethodName,
  ): Promise<unknown> {
    if (!(error instanceof BadCredential || error instanceof ProviderDenied)) return error;
    const response = error instanceof ProviderDenied ? error : this.authenticator.unauthenticated(as, error);
    const { code, reason, account } = error;
    await this.audit.recordRejection(response, {
      event: 'authn_login_fail',
      actor: account,
      method: 'oidc-login',
      details: { code, reason, provider },
    });
    return response;
  }

  private async signIn(
    provider: OidcProvider,
    claims: IDToken,
    { as, returnTo }: { as: MethodName; returnTo?: string | undefined },
    request: AuthRequest,
  ) {
    const at = dateOfAuthTime(claims.auth_time);
    if (!at) throw invalidIdentity('auth_time is in the future');
    const identity = await this.findOrCreate(provider, claims);
    const { user } = identity;
    // The account's epoch was read together with the identity. If all sign-ins are ended meanwhile, this one is invalid at once.
    const issued = await this.signIns.complete(
      {
        user,
        method: 'oidc-login',
        credentialId: identity.id,
        at,
        amr: provider.trustAmr ? parseAmr(claims['amr']) : FACTORS['oidc-login'].amr,
        as,
        returnTo,
        rejectedAs: 'invalid_identity',
      },
      sameOriginRequest(request),
    );
    this.identities.recordUse(identity);
    return issued;
  }

  private async findOrCreate(provider: OidcProvider, claims: IDToken): Promise<IdentityWithUser> {
    const identity =
      (await this.identities.find(claims)) ??
      (provider.create && (await this.identities.createAccount(provider, provider.create.roles, claims)));
    if (!identity) throw new BadCredential('identity_not_linked', 'no account is linked to this subject');
    const { user } = identity;
    if (user.tenantId !== provider.tenant)
      throw invalidIdentity(`the account ${user.id} belongs to another tenant`).ofAccount(user);
    return identity;
  }

  private async link(
    provider: OidcProvider,
    claims: IDToken,
    { userId, epoch }: AuthorizationPurpose & { kind: 'link' },
  ): Promise<OidcIdentity> {
    const account = await this.dataSource.manager.findOneBy(User, { id: userId });
    if (!account || account.disabledAt || account.epoch !== epoch)
      throw invalidIdentity(`the sign-in of ${userId} that started the link has ended`);
    if (account.tenantId !== provider.tenant)
      throw invalidIdentity(`the account ${userId} belongs to another tenant`);
    return this.identities.link(provider, account, claims);
  }
}

const invalidIdentity = (reason: string) => new BadCredential('invalid_identity', reason);

/**
 * The request without the headers that mark it as cross-site. Issuers reject cross-site sign-ins, and the redirect from
 * the provider is one. Here `state` has proved that this browser started the sign-in.
 */
const sameOriginRequest = (request: AuthRequest): AuthRequest =>
  Object.assign(Object.create(request) as AuthRequest, {
    header: (name: string) => (/^(?:origin|sec-fetch-site)$/i.test(name) ? undefined : request.header(name)),
  });
