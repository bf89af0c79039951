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
  type OnModuleInit,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { z } from 'zod';
import { ExcludeFromOpenApi } from '../../authentication/describe.js';
import { Consumes, CurrentRequest, HttpsOnly, Public } from '../../authentication/plan.js';
import type { AdapterResponse, AuthRequest } from '../../authentication/request.js';
import { AccountParts, type AccountPart } from '../../pages/account-parts.service.js';
import { html, type Html } from '../../pages/html.js';
import { PageFilter } from '../../pages/page.filter.js';
import { MAIL_MESSAGES, showRejectedForm, type FormMessages } from '../../pages/rejected-form.js';
import { SameOriginGuard } from '../../pages/same-origin.guard.js';
import { showPage } from '../../pages/show-page.js';
import { EmailInput, addressOf } from '../../users/email-field.js';
import { AccountsConfig } from '../accounts.config.js';
import { RegistrationService } from '../registration.service.js';
import { MailedToken, NewPassword } from '../request-fields.js';
import { DisplayNameInput, displayNameOf } from './display-name-input.js';
import { MailedLinkPages } from './mailed-link-pages.service.js';
import {
  REGISTER_PATH,
  closedPage,
  completionPage,
  donePage,
  requestPage,
  sentPage,
} from './registration-pages.js';

const NEXT = { path: REGISTER_PATH, label: 'Register again' };
const MESSAGES: FormMessages = {
  username_taken: ['username', 'Another account has this username. Choose another one.'],
  too_many_attempts: 'Too many usernames were tried. Wait a while, then try again.',
  temporarily_unavailable: 'Too many requests are in progress. Try again.',
};

const RequestForm = z.object({ email: EmailInput, name: DisplayNameInput });
const CompletionForm = z.object({
  token: MailedToken,
  username: z.string().max(256),
  password: NewPassword,
});

/** The link of the sign-in page, and the pages that create an account, also an invited one. */
@Controller('account/register')
@Public()
@HttpsOnly()
@ExcludeFromOpenApi()
@UseGuards(SameOriginGuard)
@UseFilters(PageFilter)
export class RegistrationPagesController implements AccountPart, OnModuleInit {
  readonly order = 95;

  constructor(
    private readonly parts: AccountParts,
    private readonly config: AccountsConfig,
    private readonly registrations: RegistrationService,
    private readonly links: MailedLinkPages,
    private readonly host: HttpAdapterHost,
  ) {}

  onModuleInit(): void {
    if (this.config.registration === 'open') this.parts.add(this);
  }

  signInForm(): Html {
    return html`<p class="link"><a href="${REGISTER_PATH}">Create an account</a></p>`;
  }

  /** With the token of a mail: the form of the account. Otherwise: the form that requests the mail. */
  @Get()
  async showRegistration(
    @Query('token') token: unknown,
    @Res({ passthrough: true }) response: AdapterResponse,
  ): Promise<string> {
    const { registration } = this.config;
    if (registration === 'closed' || (token === undefined && registration !== 'open')) {
      this.host.httpAdapter.status(response, HttpStatus.FORBIDDEN);
      return showPage(this.host, response, closedPage(registration), { 'Referrer-Policy': 'strict-origin' });
    }
    if (token === undefined) return showPage(this.host, response, requestPage());
    return this.links.show(response, token, ['registration', 'invitation'], NEXT, ({ address }, text) =>
      completionPage(text, address),
    );
  }

  @Post()
  @Consumes('form')
  @HttpCode(HttpStatus.SEE_OTHER)
  async submitRegistrationRequest(
    @Body({ schema: RequestForm }) { email, name }: z.output<typeof RequestForm>,
    @CurrentRequest() request: AuthRequest,
    @Res({ passthrough: true }) response: AdapterResponse,
  ): Promise<string> {
    try {
      await this.registrations.request(addressOf(email), displayNameOf(name), request.ip);
    } catch (error) {
      return showRejectedForm(this.host, response, error, MAIL_MESSAGES, (errors) =>
        requestPage({ email, name }, errors),
      );
    }
    request.setHeader('Location', `${REGISTER_PATH}/sent`);
    return '';
  }

  /** The same for every address. */
  @Get('sent')
  showRegistrationSent(@Res({ passthrough: true }) response: AdapterResponse): string {
    return showPage(this.host, response, sentPage);
  }

  @Post('complete')
  @Consumes('form')
  @HttpCode(HttpStatus.SEE_OTHER)
  async submitRegistration(
    @Body({ schema: CompletionForm }) form: z.output<typeof CompletionForm>,
    @CurrentRequest() request: AuthRequest,
    @Res({ passthrough: true }) response: AdapterResponse,
  ): Promise<string> {
    try {
      await this.registrations.complete(form);
    } catch (error) {
      return showRejectedForm(this.host, response, error, MESSAGES, (errors) =>
        completionPage(form.token, form.username, errors),
      ).catch((other: unknown) => this.links.showInvalid(response, other, NEXT));
    }
    request.setHeader('Location', `${REGISTER_PATH}/done`);
    return '';
  }

  @Get('done')
  showRegistrationDone(@Res({ passthrough: true }) response: AdapterResponse): string {
    return showPage(this.host, response, donePage);
  }
}
