import {
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
  UseGuards,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { z } from 'zod';
import { ExcludeFromOpenApi } from '../../authentication/describe.js';
import { Consumes, CurrentRequest, HttpsOnly, Public } from '../../authentication/plan.js';
import type { AdapterResponse, AuthRequest } from '../../authentication/request.js';
import { submitButton } from '../../pages/forms.js';
import { html, type Html } from '../../pages/html.js';
import type { Page } from '../../pages/layout.js';
import { ACCOUNT_PATH, PageFilter } from '../../pages/page.filter.js';
import { SameOriginGuard } from '../../pages/same-origin.guard.js';
import { showPage } from '../../pages/show-page.js';
import type { FoundToken } from '../account-tokens.service.js';
import { EmailChangeService, type Confirmation } from '../email-change.service.js';
import { MailedToken } from '../request-fields.js';
import { MailedLinkPages, tokenField } from './mailed-link-pages.service.js';

const PATH = '/account/confirm-email';
const PURPOSES = ['email-change-old', 'email-change-new', 'email-verification'] as const;
const NEXT = { path: ACCOUNT_PATH, label: 'Your account' };

const ConfirmationForm = z.object({ token: MailedToken });
const Result = z.enum(['verified', 'waiting', 'changed']);

/** The pages of the mails that confirm an address. They work in any browser, also where nobody is signed in. */
@Controller('account/confirm-email')
@Public()
@HttpsOnly()
@ExcludeFromOpenApi()
@UseGuards(SameOriginGuard)
@UseFilters(PageFilter)
export class EmailConfirmationPagesController {
  constructor(
    private readonly emails: EmailChangeService,
    private readonly links: MailedLinkPages,
    private readonly host: HttpAdapterHost,
  ) {}

  @Get()
  showEmailConfirmation(
    @Query('token') token: unknown,
    @Res({ passthrough: true }) response: AdapterResponse,
  ): Promise<string> {
    return this.links.show(response, token, PURPOSES, NEXT, confirmationPage);
  }

  @Post()
  @Consumes('form')
  @HttpCode(HttpStatus.SEE_OTHER)
  async submitEmailConfirmation(
    @Body({ schema: ConfirmationForm }) { token }: z.output<typeof ConfirmationForm>,
    @CurrentRequest() request: AuthRequest,
    @Res({ passthrough: true }) response: AdapterResponse,
  ): Promise<string> {
    try {
      request.setHeader('Location', `${PATH}/${await this.emails.confirm(token)}`);
      return '';
    } catch (error) {
      return this.links.showInvalid(response, error, NEXT);
    }
  }

  @Get(':result')
  showEmailConfirmationResult(
    @Param('result', { schema: Result }) result: Confirmation,
    @Res({ passthrough: true }) response: AdapterResponse,
  ): string {
    return showPage(this.host, response, RESULT_PAGES[result]);
  }
}

const confirmationPage = (found: FoundToken<(typeof PURPOSES)[number]>, token: string): Page => ({
  title: 'Confirm your e-mail address',
  body: html`
    ${explanation(found)}
    <form method="post" action="${PATH}">${tokenField(token)} ${submitButton({ label: 'Confirm' })}</form>
    <p>If you did not request this, close this page.</p>
  `,
});

function explanation(found: FoundToken<(typeof PURPOSES)[number]>): Html {
  if (found.purpose === 'email-verification')
    return html`<p>Press the button to confirm that <strong>${found.address}</strong> is yours.</p>`;
  const { newAddress } = found.payload;
  return html`<p>Press the button to use <strong>${newAddress}</strong> as the address of your account.</p>`;
}

const accountLink = html`<p><a href="${ACCOUNT_PATH}">Your account</a></p>`;

const RESULT_PAGES: Readonly<Record<Confirmation, Page>> = {
  verified: {
    title: 'Your address is confirmed',
    body: html`
      <p>Mails about your account go to this address.</p>
      ${accountLink}
    `,
  },
  waiting: {
    title: 'One more confirmation',
    body: html`
      <p>
        This address is confirmed. Open the link in the mail to the other address, too. Then the address is
        changed.
      </p>
    `,
  },
  changed: {
    title: 'Your address is changed',
    body: html`
      <p>Mails about your account now go to the new address.</p>
      ${accountLink}
    `,
  },
};
