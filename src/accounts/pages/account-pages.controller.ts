import { Body, Controller, Get, HttpCode, HttpStatus, Post, Query, Res, UseFilters } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { z } from 'zod';
import { Authenticator } from '../../authentication/authenticator.js';
import { Unauthenticated } from '../../authentication/challenge.js';
import { ExcludeFromOpenApi } from '../../authentication/describe.js';
import { LocalPath } from '../../authentication/local-path.js';
import { Caller, Consumes, CurrentRequest, HttpsOnly, SelfService } from '../../authentication/plan.js';
import { assertMayManageCredentials, type Principal } from '../../authentication/principal.js';
import type { AdapterResponse, AuthRequest } from '../../authentication/request.js';
import { AccountParts, csrfFieldFor, returnToField } from '../../pages/account-parts.service.js';
import { factorForms, scriptsOf } from '../../pages/factor-forms.js';
import { html } from '../../pages/html.js';
import type { Page } from '../../pages/layout.js';
import { ACCOUNT_PATH, PageFilter } from '../../pages/page.filter.js';
import { showPage } from '../../pages/show-page.js';
import { SecondFactorService } from '../../users/second-factor.service.js';
import { FactorFields, responseOf } from './factor-fields.js';

const ReturnTo = z.object({ returnTo: LocalPath.optional().catch(undefined) });
const StepUpForm = FactorFields.extend({
  returnTo: LocalPath.optional().catch(undefined),
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
    @Query({ schema: ReturnTo }) { returnTo }: z.output<typeof ReturnTo>,
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
    @Body({ schema: StepUpForm }) form: z.output<typeof StepUpForm>,
    @Caller() caller: Principal,
    @CurrentRequest() request: AuthRequest,
    @Res({ passthrough: true }) response: AdapterResponse,
  ): Promise<string> {
    const { factor, returnTo = ACCOUNT_PATH, action } = form;
    const issued = this.secondFactor.issuedProof(caller);
    if (action === 'send') {
      await this.secondFactor.beginStepUp(caller, factor, request);
      this.host.httpAdapter.status(response, HttpStatus.OK);
      return showPage(this.host, response, await this.stepUpPage(caller, returnTo, request));
    }
    try {
      await this.secondFactor.stepUp(caller, issued, factor, responseOf(form), request);
    } catch (error) {
      if (!(error instanceof Unauthenticated)) throw error;
      // Not 401, which requires a challenge that a browser would show.
      this.host.httpAdapter.status(response, HttpStatus.UNPROCESSABLE_ENTITY);
      const message = 'This is not correct, or it was used before.';
      return showPage(this.host, response, await this.stepUpPage(caller, returnTo, request, message));
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
    const hidden = html`${csrfFieldFor(this.authenticator, caller)} ${returnToField(returnTo)}`;
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
