import { Body, Controller, Get, HttpCode, HttpStatus, Post, Query, Res, UseFilters } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { z } from 'zod';
import { Describe, ExcludeFromOpenApi, Issued, IssuerName, text } from '../../authentication/describe.js';
import { LocalPath } from '../../authentication/local-path.js';
import { Consumes, CurrentRequest, HttpsOnly, Public } from '../../authentication/plan.js';
import type { AdapterResponse, AuthRequest } from '../../authentication/request.js';
import { showPage } from '../../pages/show-page.js';
import { PageFilter } from '../../pages/page.filter.js';
import { ScopeParameter } from '../../permissions.js';
import { invalidField } from '../../users/account-factors.service.js';
import { EmailAddress } from '../../users/email-address.js';
import { SignInService } from '../../users/sign-in.service.js';
import { MAGIC_LINK_LIFETIME_SECONDS } from './magic-link.js';
import { otherBrowserPage, signInPage } from './magic-link.pages.js';
import { MagicLinkService } from './magic-link.service.js';

const scope = ScopeParameter.optional();

const RequestBody = z
  .strictObject({ email: EmailAddress, as: IssuerName, scope, returnTo: LocalPath.optional() })
  .meta({ id: 'MagicLinkRequest', example: { email: 'bob@acme.example', as: 'session' } });

const CodeBody = z
  .strictObject({ email: EmailAddress, code: text(64, 1), as: IssuerName, scope })
  .meta({ id: 'MagicLinkCode', example: { email: 'bob@acme.example', code: '492816', as: 'session' } });

const Requested = z.object({ expires_in: z.int() }).meta({ id: 'MagicLinkRequested' });

@Controller('auth/magic-link')
@Public()
@HttpsOnly()
export class MagicLinkController {
  constructor(
    private readonly links: MagicLinkService,
    private readonly signIns: SignInService,
  ) {}

  /** Sends a mail with a link and a code, if an account has the address. The response does not say whether one has. */
  @Post()
  @Describe('Request a sign-in by mail', {
    response: Requested,
    headers: ['Set-Cookie'],
    errors: ['429 too_many_attempts', '503 mail_unavailable'],
  })
  @HttpCode(HttpStatus.ACCEPTED)
  async requestMagicLink(
    @Body({ schema: RequestBody }) { email, as, scope: scopes, returnTo }: z.output<typeof RequestBody>,
    @CurrentRequest() request: AuthRequest,
  ) {
    const issuer = this.signIns.issuerNamed(as);
    if (returnTo !== undefined && !this.links.hasLink(issuer))
      throw invalidField('returnTo', 'Only for methods whose credential is a cookie.');
    await this.links.request(email, { as: issuer, scopes, returnTo }, request);
    return { expires_in: MAGIC_LINK_LIFETIME_SECONDS };
  }

  /** Signs in, and returns the response of the issuer that `as` names. */
  @Post('code')
  @Describe('Sign in with the code of a mail', {
    response: Issued,
    headers: ['Set-Cookie'],
    errors: [
      '400 duplicate_cookie',
      '401 invalid_code',
      '401 mfa_required',
      '403 invalid_csrf_token',
      '429 too_many_attempts',
    ],
  })
  @HttpCode(200)
  redeemMagicLinkCode(
    @Body({ schema: CodeBody }) { email, code, as, scope: scopes }: z.output<typeof CodeBody>,
    @CurrentRequest() request: AuthRequest,
  ): Promise<object> {
    const issuer = this.signIns.issuerNamed(as);
    return this.links.redeemCode(email, code, { as: issuer, scopes }, request);
  }
}

/** The link of the mail. */
@Controller('auth/magic-link')
@Public()
@HttpsOnly()
@ExcludeFromOpenApi()
@UseFilters(PageFilter)
export class MagicLinkPagesController {
  constructor(
    private readonly links: MagicLinkService,
    private readonly host: HttpAdapterHost,
  ) {}

  /** Uses nothing up: mail scanners open the link before its reader. */
  @Get()
  async showMagicLink(
    @Query('token') token: unknown,
    @CurrentRequest() request: AuthRequest,
    @Res({ passthrough: true }) response: AdapterResponse,
  ): Promise<string> {
    const isOwn = await this.links.isOwnLink(token, request);
    const page = isOwn ? signInPage(token as string) : otherBrowserPage;
    // The URL has the token. Unlike `no-referrer`, this keeps `Origin` with the form.
    return showPage(this.host, response, page, { 'Referrer-Policy': 'strict-origin' });
  }

  @Post('redeem')
  @Consumes('form')
  @HttpCode(HttpStatus.SEE_OTHER)
  async redeemMagicLink(
    @Body({ schema: z.object({ token: z.unknown() }) }) { token }: { token?: unknown },
    @CurrentRequest() request: AuthRequest,
  ): Promise<void> {
    request.setHeader('Location', await this.links.redeemLink(token, request));
  }
}
