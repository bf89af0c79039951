import { Body, Controller, Get, HttpCode, HttpStatus, Post, Query, Res, UseFilters } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { z } from 'zod';
import { Authenticator } from '../../authentication/authenticator.js';
import { Unauthenticated } from '../../authentication/challenge.js';
import { ExcludeFromOpenApi } from '../../authentication/describe.js';
import { ReturnTo } from '../../authentication/local-path.js';
import { Caller, Consumes, CurrentRequest, HttpsOnly, SelfService } from '../../authentication/plan.js';
import { assertMayManageCredentials, type Principal } from '../../authentication/principal.js';
import type { AdapterResponse, AuthRequest } from '../../authentication/request.js';
import { AccountParts, csrfFieldFor, returnToField } from '../../pages/account-parts.service.js';
import { FactorFields, REJECTED_FACTOR, factorForms, scriptsOf } from '../../pages/factor-forms.js';
import { html } from '../../pages/html.js';
import type { Page } from '../../pages/layout.js';
import { ACCOUNT_PATH, PageFilter } from '../../pages/page.filter.js';
import { showPage } from '../../pages/show-page.js';
import { SecondFactorService } from '../../users/second-factor.service.js';
import { ProfileService } from '../profile.service.js';

const PageQuery = z.object({ returnTo: ReturnTo });
const StepUpForm = FactorFields.extend({
  returnTo: ReturnTo,
  action: z.literal('send').optional().catch(undefined),
});

/** The pages of a signed-in person. */
@Controller('account')
@SelfService()
@HttpsOnly()
@ExcludeFromOpenApi()
@UseFilters(PageFilter)
export class AccountPagesController {
  constructor(
    private readonly parts: AccountParts,
    private readonly secondFactor: SecondFactorService,
    private readonly profiles: ProfileService,
    private readonly authenticator: Authenticator,
    private readonly host: HttpAdapterHost,
  ) {}

  /** A section of each installed method. */
  @Get('security')
  async showAccount(
    @Caller() caller: Principal,
    @Res({ passthrough: true }) response: AdapterResponse,
  ): Promise<string> {
    assertMayManageCredentials(caller);
    const csrf = csrfFieldFor(this.authenticator, caller);
    return showPage(this.host, response, await this.parts.accountPage(caller, csrf));
  }

  @Get('step-up')
  async showStepUp(
    @Query({ schema: PageQuery }) { returnTo }: z.output<typeof PageQuery>,
    @Caller() caller: Principal,
    @CurrentRequest() request: AuthRequest,
    @Res({ passthrough: true }) response: AdapterResponse,
  ): Promise<string> {
    return showPage(this.host, response, await this.stepUpPage(caller, returnTo, request));
  }

  @Post('step-up')
  @Consumes('form')
  @HttpCode(HttpStatus.SEE_OTHER)
  async submitStepUp(
    @Body({ schema: StepUpForm })
    { factor, returnTo = ACCOUNT_PATH, action, ...proof }: z.output<typeof StepUpForm>,
    @Caller() caller: Principal,
    @CurrentRequest() request: AuthRequest,
    @Res({ passthrough: true }) response: AdapterResponse,
  ): Promise<string> {
    const issued = this.secondFactor.issuedProof(caller);
    if (action === 'send') {
      await this.secondFactor.beginStepUp(caller, factor, request);
      this.host.httpAdapter.status(response, HttpStatus.OK);
      return showPage(this.host, response, await this.stepUpPage(caller, returnTo, request));
    }
    try {
      await this.secondFactor.stepUp(caller, issued, factor, proof, request);
    } catch (error) {
      if (!(error instanceof Unauthenticated)) throw error;
      // Not 401, which requires a challenge that a browser would show.
      this.host.httpAdapter.status(response, HttpStatus.UNPROCESSABLE_ENTITY);
      return showPage(this.host, response, await this.stepUpPage(caller, returnTo, request, REJECTED_FACTOR));
    }
    request.setHeader('Location', returnTo);
    return '';
  }

  private async stepUpPage(
    caller: Principal,
    returnTo: string | undefined,
    request: AuthRequest,
    error?: string,
  ): Promise<Page> {
    const usable = await this.secondFactor.usableForStepUp(caller);
    const factors = await this.secondFactor.formsFor(caller.id, usable, request);
    const { username } = await this.profiles.find(caller);
    // Password managers look for the username. It is not sent.
    const hidden = html`
      ${csrfFieldFor(this.authenticator, caller)} ${returnToField(returnTo)}
      <input value="${username}" autocomplete="username" hidden />
    `;
    return {
      title: 'Confirm that it is you',
      scripts: scriptsOf(factors),
      body: html`
        ${!factors.length && html`<p>Your account has no factor that this page can check. Sign in again.</p>`}
        ${factorForms({ factors, hidden, error })}
        <p><a href="${ACCOUNT_PATH}">Cancel</a></p>
      `,
    };
  }
}
