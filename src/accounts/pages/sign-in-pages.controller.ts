import { Body, Controller, Get, HttpCode, HttpStatus, Post, Query, Res, UseFilters } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { z } from 'zod';
import { BadCredential, Unauthenticated } from '../../authentication/challenge.js';
import { ExcludeFromOpenApi } from '../../authentication/describe.js';
import { IssuerRegistry } from '../../authentication/issuer-registry.js';
import { ReturnTo } from '../../authentication/local-path.js';
import { Consumes, CurrentRequest, HttpsOnly, Public } from '../../authentication/plan.js';
import type { AdapterResponse, AuthRequest } from '../../authentication/request.js';
import { AccountParts } from '../../pages/account-parts.service.js';
import { FactorFields, REJECTED_FACTOR, factorForms, scriptsOf } from '../../pages/factor-forms.js';
import { html } from '../../pages/html.js';
import { ACCOUNT_PATH, PageFilter, SIGN_IN_PATH } from '../../pages/page.filter.js';
import { showPage } from '../../pages/show-page.js';
import { SecondFactorService } from '../../users/second-factor.service.js';

const PageQuery = z.object({ returnTo: ReturnTo });

/** The pages of a sign-in with a session. */
@Controller('account')
@Public()
@HttpsOnly()
@ExcludeFromOpenApi()
@UseFilters(PageFilter)
export class SignInPagesController {
  constructor(
    private readonly parts: AccountParts,
    private readonly secondFactor: SecondFactorService,
    private readonly issuers: IssuerRegistry,
    private readonly host: HttpAdapterHost,
  ) {}

  /** The forms of the installed methods, which post to routes of their own. */
  @Get('sign-in')
  async showSignIn(
    @Query({ schema: PageQuery }) { returnTo }: z.output<typeof PageQuery>,
    @CurrentRequest() request: AuthRequest,
    @Res({ passthrough: true }) response: AdapterResponse,
  ): Promise<string> {
    return showPage(this.host, response, await this.parts.signInPage({ returnTo }, request));
  }

  /** The second step of the sign-in whose ticket is in the cookie. */
  @Get('second-step')
  async showSecondStep(
    @CurrentRequest() request: AuthRequest,
    @Res({ passthrough: true }) response: AdapterResponse,
  ): Promise<string> {
    return this.secondStepPage(request, response, HttpStatus.OK);
  }

  @Post('second-step')
  @Consumes('form')
  @HttpCode(HttpStatus.SEE_OTHER)
  async submitSecondStep(
    @Body({ schema: FactorFields }) { factor, ...proof }: z.output<typeof FactorFields>,
    @CurrentRequest() request: AuthRequest,
    @Res({ passthrough: true }) response: AdapterResponse,
  ): Promise<string> {
    const returnTo = this.secondFactor.returnToOf(request) ?? ACCOUNT_PATH;
    try {
      await this.secondFactor.completeSecondStep(undefined, factor, proof, request);
    } catch (error) {
      if (!(error instanceof Unauthenticated)) throw error;
      // Not 401, which requires a challenge that a browser would show.
      return this.secondStepPage(request, response, HttpStatus.UNPROCESSABLE_ENTITY, REJECTED_FACTOR);
    }
    request.setHeader('Location', returnTo);
    return '';
  }

  private async secondStepPage(
    request: AuthRequest,
    response: AdapterResponse,
    status: HttpStatus,
    error?: string,
  ): Promise<string> {
    try {
      const { user, factors: usable } = await this.secondFactor.usableFor(
        this.issuers.names,
        undefined,
        request,
      );
      const factors = await this.secondFactor.formsFor(user.id, usable, request);
      this.host.httpAdapter.status(response, status);
      return showPage(this.host, response, {
        title: 'Confirm that it is you',
        scripts: scriptsOf(factors),
        body: html`
          ${factorForms({ factors, hidden: html``, error })}
          <p><a href="${SIGN_IN_PATH}">Start again</a></p>
        `,
      });
    } catch (thrown) {
      if (!(thrown instanceof BadCredential)) throw thrown;
      // The ticket is absent or has expired: the person signs in again.
      this.host.httpAdapter.status(response, HttpStatus.SEE_OTHER);
      request.setHeader('Location', SIGN_IN_PATH);
      return '';
    }
  }
}
