import {
  BadRequestException,
  Body,
  Controller,
  Get,
  HttpCode,
  HttpStatus,
  Param,
  Post,
  Query,
  Res,
  UseFilters,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { z } from 'zod';
import { IssuerRegistry } from '../../authentication/issuer-registry.js';
import { Describe, Issued, IssuerName, listOf, text } from '../../authentication/describe.js';
import { Consumes, CurrentRequest, HttpsOnly, Public } from '../../authentication/plan.js';
import { LocalPath } from '../../authentication/local-path.js';
import type { AuthRequest } from '../../authentication/request.js';
import { PageFilter } from '../../pages/page.filter.js';
import { BackChannelLogout } from './oidc-login.backchannel-logout.service.js';
import { IdentityView, identityView } from './oidc-login.linked-identities.service.js';
import { OidcProviders } from './oidc-login.providers.service.js';
import { OidcLoginService } from './oidc-login.service.js';

const StartQuery = z.strictObject({
  as: IssuerName,
  returnTo: LocalPath.optional(),
});

/** Other parameters are ignored (Back-Channel Logout 1.0 section 2.5). */
const LogoutForm = z.object({ logout_token: text(10_000) });

const ProviderView = z
  .object({ id: z.string(), name: z.string(), tenant: z.string() })
  .meta({ id: 'Provider' });
const PROVIDER_ERRORS = ['404 unknown_provider', '502 provider_error', '503 provider_unavailable'] as const;
const CALLBACK_ERRORS = [
  ...PROVIDER_ERRORS,
  '400 invalid_state',
  '401 invalid_identity',
  '401 identity_not_linked',
  '401 mfa_required',
  '403 access_denied',
  '409 identity_already_linked',
] as const;

/** The routes of the sign-in itself, which are open. */
@Controller('auth')
@Public()
export class OidcLoginController {
  constructor(
    private readonly providers: OidcProviders,
    private readonly login: OidcLoginService,
    private readonly backChannelLogout: BackChannelLogout,
    private readonly issuers: IssuerRegistry,
    private readonly host: HttpAdapterHost,
  ) {}

  @Get('oidc')
  @Describe('List the OpenID providers', { response: listOf(ProviderView) })
  listProviders() {
    return { items: this.providers.all.map(({ id, name, tenant }) => ({ id, name, tenant })) };
  }

  /** Redirects the browser to the provider. */
  @Get('oidc/:provider')
  @Describe('Start a sign-in at an OpenID provider', {
    headers: ['Location', 'Set-Cookie'],
    errors: PROVIDER_ERRORS,
  })
  @HttpCode(HttpStatus.SEE_OTHER)
  @HttpsOnly()
  async startOidcLogin(
    @Param('provider') id: string,
    @Query({ schema: StartQuery }) { as, returnTo }: z.output<typeof StartQuery>,
    @CurrentRequest() request: AuthRequest,
    @Res({ passthrough: true }) response: unknown,
  ): Promise<void> {
    const provider = this.providers.find(id);
    const method = this.issuers.names.find((name) => name === as);
    if (!method) throw invalidQuery('as', `Must be one of: ${this.issuers.names.join(', ')}.`);
    if (returnTo !== undefined && !this.login.isAmbient(method))
      throw invalidQuery('returnTo', 'Only for methods whose credential is a cookie.');
    const options = { as: method, purpose: { kind: 'sign-in' }, returnTo } as const;
    this.redirect(await this.login.start(provider, options, request), request, response);
  }

  /**
   * The redirect URI. Responds with the issued credential or the linked identity, or redirects to `returnTo`. A browser receives an
   * error as a page, and goes to the second step of the sign-in if the account has one.
   */
  @Get('oidc/:provider/callback')
  @Describe('Finish a sign-in at an OpenID provider', {
    response: z.union([Issued, IdentityView]),
    alternatives: { 303: undefined },
    headers: ['Location', 'Set-Cookie'],
    errors: CALLBACK_ERRORS,
  })
  @HttpsOnly()
  @UseFilters(PageFilter)
  async finishOidcLogin(
    @Param('provider') id: string,
    @CurrentRequest() request: AuthRequest,
    @Res({ passthrough: true }) response: unknown,
  ): Promise<object | undefined> {
    const { returnTo, issued, linked } = await this.login.handleCallback(this.providers.find(id), request);
    if (returnTo === undefined) return linked ? identityView(linked) : issued;
    this.redirect(returnTo, request, response);
    return undefined;
  }

  /** Called by the provider itself, not by a browser. */
  @Post('oidc/:provider/backchannel-logout')
  @Describe('Receive a logout token of a provider', {
    errors: ['400 invalid_logout_token', ...PROVIDER_ERRORS],
  })
  @Consumes('form')
  @HttpCode(200)
  async receiveLogoutToken(
    @Param('provider') id: string,
    @Body({ schema: LogoutForm }) { logout_token }: z.output<typeof LogoutForm>,
  ): Promise<void> {
    await this.backChannelLogout.logOut(this.providers.find(id), logout_token);
  }

  private redirect(url: URL | string, request: AuthRequest, response: unknown): void {
    request.setHeader('Location', String(url));
    this.host.httpAdapter.status(response, HttpStatus.SEE_OTHER);
  }
}

const invalidQuery = (field: string, message: string) =>
  new BadRequestException({
    code: 'invalid_query',
    detail: 'The query parameters are invalid.',
    errors: [{ field, message }],
  });
