import {
  Body,
  Controller,
  Get,
  HttpCode,
  HttpStatus,
  Post,
  Query,
  Res,
  UseFilters,
  UseGuards,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { z } from 'zod';
import { ExcludeFromOpenApi } from '../../authentication/describe.js';
import { Consumes, CurrentRequest, HttpsOnly, Public } from '../../authentication/plan.js';
import type { AdapterResponse, AuthRequest } from '../../authentication/request.js';
import { submitButton } from '../../pages/forms.js';
import { html } from '../../pages/html.js';
import type { Page } from '../../pages/layout.js';
import { PageFilter, SIGN_IN_PATH } from '../../pages/page.filter.js';
import { SameOriginGuard } from '../../pages/same-origin.guard.js';
import { showPage } from '../../pages/show-page.js';
import { DeletionService } from '../deletion.service.js';
import { RecoveryService } from '../recovery.service.js';
import { MailedToken } from '../request-fields.js';
import { MailedLinkPages, tokenField } from './mailed-link-pages.service.js';

const DELETION_PATH = '/account/cancel-deletion';
const RECOVERY_PATH = '/account/cancel-recovery';
const NEXT = { path: SIGN_IN_PATH, label: 'Sign in' };

const CancellationForm = z.object({ token: MailedToken });

/** The pages of the mails that stop a process of the account, each with one button. */
@Controller('account')
@Public()
@HttpsOnly()
@ExcludeFromOpenApi()
@UseGuards(SameOriginGuard)
@UseFilters(PageFilter)
export class CancellationPagesController {
  constructor(
    private readonly deletions: DeletionService,
    private readonly recoveries: RecoveryService,
    private readonly links: MailedLinkPages,
    private readonly host: HttpAdapterHost,
  ) {}

  @Get('cancel-deletion')
  showDeletionCancellation(
    @Query('token') token: unknown,
    @Res({ passthrough: true }) response: AdapterResponse,
  ): Promise<string> {
    return this.links.show(response, token, ['deletion'], NEXT, (_, text) => keepAccountPage(text));
  }

  @Post('cancel-deletion')
  @Consumes('form')
  @HttpCode(HttpStatus.SEE_OTHER)
  async submitDeletionCancellation(
    @Body({ schema: CancellationForm }) { token }: z.output<typeof CancellationForm>,
    @CurrentRequest() request: AuthRequest,
    @Res({ passthrough: true }) response: AdapterResponse,
  ): Promise<string> {
    try {
      await this.deletions.cancel(token);
    } catch (error) {
      return this.links.showInvalid(response, error, NEXT);
    }
    request.setHeader('Location', `${DELETION_PATH}/done`);
    return '';
  }

  @Get('cancel-deletion/done')
  showDeletionCancelled(@Res({ passthrough: true }) response: AdapterResponse): string {
    return showPage(this.host, response, accountKeptPage);
  }

  @Get('cancel-recovery')
  showRecoveryCancellation(
    @Query('token') token: unknown,
    @Res({ passthrough: true }) response: AdapterResponse,
  ): Promise<string> {
    return this.links.show(response, token, ['recovery'], NEXT, (_, text) => keepFactorsPage(text));
  }

  @Post('cancel-recovery')
  @Consumes('form')
  @HttpCode(HttpStatus.SEE_OTHER)
  async submitRecoveryCancellation(
    @Body({ schema: CancellationForm }) { token }: z.output<typeof CancellationForm>,
    @CurrentRequest() request: AuthRequest,
    @Res({ passthrough: true }) response: AdapterResponse,
  ): Promise<string> {
    try {
      await this.recoveries.cancel(token);
    } catch (error) {
      return this.links.showInvalid(response, error, NEXT);
    }
    request.setHeader('Location', `${RECOVERY_PATH}/done`);
    return '';
  }

  @Get('cancel-recovery/done')
  showRecoveryCancelled(@Res({ passthrough: true }) response: AdapterResponse): string {
    return showPage(this.host, response, factorsKeptPage);
  }
}

const keepAccountPage = (token: string): Page => ({
  title: 'Keep your account',
  body: html`
    <p>Your account is disabled and will be deleted. Press the button to use it again.</p>
    <form method="post" action="${DELETION_PATH}">
      ${tokenField(token)} ${submitButton({ label: 'Keep my account' })}
    </form>
  `,
});

const accountKeptPage: Page = {
  title: 'Your account is kept',
  body: html`
    <p>You can sign in again.</p>
    <p>If you did not delete it, somebody was signed in to your account: reset your password.</p>
    <p><a href="${SIGN_IN_PATH}">Sign in</a></p>
  `,
};

const keepFactorsPage = (token: string): Page => ({
  title: 'Keep your second factors',
  body: html`
    <p>
      An administrator has started to remove the second factors of your account. Press the button to keep
      them.
    </p>
    <form method="post" action="${RECOVERY_PATH}">
      ${tokenField(token)} ${submitButton({ label: 'Keep my second factors' })}
    </form>
    <p>If you asked the administrator for this, close this page.</p>
  `,
});

const factorsKeptPage: Page = {
  title: 'Your second factors are kept',
  body: html`
    <p>Your account is as before. Ask an administrator who started the recovery.</p>
    <p><a href="${SIGN_IN_PATH}">Sign in</a></p>
  `,
};
