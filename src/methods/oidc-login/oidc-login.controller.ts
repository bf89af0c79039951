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
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { z } from 'zod';
import { CurrentRequest, Public, HttpsOnly, Consumes } from '../../authentication/plan.js';
import { IssuerRegistry } from '../../authentication/issuer-registry.js';
import type { AuthRequest } from '../../authentication/request.js';
import { OidcCeremony } from './oidc-login.service.js';
import { isLocalPath } from './oidc-login.js';
import { ProviderLogout } from './oidc-login.backchannel-logout.service.js';
import { Providers } from './oidc-login.providers.service.js';
import { identityView } from './oidc-login.view.js';

const Start = z.strictObject({
  as: z.string().max(40),
  returnTo: z.string().refine(isLocalPath, 'Must be a path of this origin, as /documents.').optional(),
});

/** What else a message has is not looked at (Back-Channel Logout 1.0, section 2.5). */
const Logout = z.object({ logout_token: z.string().max(10_000) });

/** What a browser goes through before anybody is signed in. */
@Controller('auth')
@Public()
export class OidcLoginController {
  constructor(
    private readonly providers: Providers,
    private readonly ceremony: OidcCeremony,
    private readonly logout: ProviderLogout,
    private readonly issuers: IssuerRegistry,
    private readonly host: HttpAdapterHost,
  ) {}

  @Get('oidc')
  list() {
    return { items: this.providers.all.map(({ id, name, tenant }) => ({ id, name, tenant })) };
  }

  /** Sends the browser to the provider. */
  @Get('oidc/:provider')
  @HttpsOnly()
  async start(
    @Param('provider') id: string,
    @Query({ schema: Start }) { as, returnTo }: z.output<typeof Start>,
    @CurrentRequest() request: AuthRequest,
    @Res({ passthrough: true }) response: unknown,
  ): Promise<void> {
    const provider = this.providers.find(id);
    const issuer = this.issuers.names.find((name) => name === as);
    if (!issuer) throw invalid('as', `Must be one of: ${this.issuers.names.join(', ')}.`);
    if (returnTo !== undefined && !this.ceremony.isKept(issuer))
      throw invalid('returnTo', 'Only for what a browser keeps by itself: a page could not read the answer.');
    const wanted = { as: issuer, goal: { kind: 'sign-in' }, returnTo } as const;
    this.goTo(await this.ceremony.begin(provider, wanted, request), request, response);
  }

  /** Takes the browser back, with the provider's answer. The issuer's answer, or the page to go on to. */
  @Get('oidc/:provider/callback')
  @HttpsOnly()
  async callback(
    @Param('provider') id: string,
    @CurrentRequest() request: AuthRequest,
    @Res({ passthrough: true }) response: unknown,
  ): Promise<object | undefined> {
    const { returnTo, issued, linked } = await this.ceremony.end(this.providers.find(id), request);
    if (returnTo === undefined) return linked ? identityView(linked) : issued;
    this.goTo(returnTo, request, response);
    return undefined;
  }

  /** Takes a message of the provider's, which no browser has in its hands. */
  @Post('oidc/:provider/backchannel-logout')
  @Consumes('form')
  @HttpCode(200)
  async providerLogout(
    @Param('provider') id: string,
    @Body({ schema: Logout }) { logout_token }: z.output<typeof Logout>,
  ): Promise<void> {
    await this.logout.end(this.providers.find(id), logout_token);
  }

  private goTo(url: URL | string, request: AuthRequest, response: unknown): void {
    request.setHeader('Location', String(url));
    this.host.httpAdapter.status(response, HttpStatus.SEE_OTHER);
  }
}

const invalid = (field: string, message: string) =>
  new BadRequestException({
    code: 'invalid_query',
    detail: 'The query parameters are invalid.',
    errors: [{ field, message }],
  });
