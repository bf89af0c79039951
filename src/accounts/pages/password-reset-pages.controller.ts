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
import { formError, submitButton } from '../../pages/forms.js';
import { html, type Html } from '../../pages/html.js';
import type { Page } from '../../pages/layout.js';
import { PageFilter, SIGN_IN_PATH } from '../../pages/page.filter.js';
import {
  MAIL_MESSAGES,
  showRejectedForm,
  type FormErrors,
  type FormMessages,
} from '../../pages/rejected-form.js';
import { SameOriginGuard } from '../../pages/same-origin.guard.js';
import { showPage } from '../../pages/show-page.js';
import { PasswordResetService } from '../password-reset.service.js';
import { MailedToken, NewPassword } from '../request-fields.js';
import { EmailInput, addressOf, emailField } from '../../users/email-field.js';
import { MailedLinkPages, tokenField } from './mailed-link-pages.service.js';
import { newPasswordField } from './new-password-field.js';

const PATH = '/account/reset-password';
const NEXT = { path: PATH, label: 'Request a new link' };
const MESSAGES: FormMessages = {
  temporarily_unavailable: 'Too many requests are in progress. Try again.',
};

const RequestForm = z.object({ email: EmailInput });
const PasswordForm = z.object({
  token: MailedToken,
  /** Only for the password manager. */
  username: z.string().max(256).optional(),
  new_password: NewPassword,
});

/** The link of the sign-in page, and the pages that replace a forgotten password. */
@Controller('account/reset-password')
@Public()
@HttpsOnly()
@ExcludeFromOpenApi()
@UseGuards(SameOriginGuard)
@UseFilters(PageFilter)
export class PasswordResetPagesController implements AccountPart, OnModuleInit {
  readonly order = 90;

  constructor(
    private readonly parts: AccountParts,
    private readonly resets: PasswordResetService,
    private readonly links: MailedLinkPages,
    private readonly host: HttpAdapterHost,
  ) {}

  onModuleInit(): void {
    this.parts.add(this);
  }

  signInForm(): Html {
    return html`<p class="link"><a href="${PATH}">Forgot your password?</a></p>`;
  }

  /** With the token of a mail: the form of the new password. Otherwise: the form that requests the mail. */
  @Get()
  async showPasswordReset(
    @Query('token') token: unknown,
    @Res({ passthrough: true }) response: AdapterResponse,
  ): Promise<string> {
    if (token === undefined) return showPage(this.host, response, requestPage());
    return this.links.show(response, token, ['password-reset'], NEXT, async (found, text) =>
      passwordPage(text, await this.resets.usernameOf(found)),
    );
  }

  @Post()
  @Consumes('form')
  @HttpCode(HttpStatus.SEE_OTHER)
  async submitPasswordResetRequest(
    @Body({ schema: RequestForm }) { email }: z.output<typeof RequestForm>,
    @CurrentRequest() request: AuthRequest,
    @Res({ passthrough: true }) response: AdapterResponse,
  ): Promise<string> {
    try {
      await this.resets.request(addressOf(email), request.ip);
    } catch (error) {
      return showRejectedForm(this.host, response, error, MAIL_MESSAGES, (errors) =>
        requestPage(email, errors),
      );
    }
    request.setHeader('Location', `${PATH}/sent`);
    return '';
  }

  /** The same for every address. */
  @Get('sent')
  showPasswordResetSent(@Res({ passthrough: true }) response: AdapterResponse): string {
    return showPage(this.host, response, sentPage);
  }

  @Post('complete')
  @Consumes('form')
  @HttpCode(HttpStatus.SEE_OTHER)
  async submitNewPassword(
    @Body({ schema: PasswordForm }) { token, username, new_password }: z.output<typeof PasswordForm>,
    @CurrentRequest() request: AuthRequest,
    @Res({ passthrough: true }) response: AdapterResponse,
  ): Promise<string> {
    try {
      await this.resets.complete(token, new_password);
    } catch (error) {
      return showRejectedForm(this.host, response, error, MESSAGES, (errors) =>
        passwordPage(token, username, errors),
      ).catch((other: unknown) => this.links.showInvalid(response, other, NEXT));
    }
    request.setHeader('Location', `${PATH}/done`);
    return '';
  }

  @Get('done')
  showPasswordResetDone(@Res({ passthrough: true }) response: AdapterResponse): string {
    return showPage(this.host, response, donePage);
  }
}

const requestPage = (email?: string, { form, fields }: FormErrors = {}): Page => ({
  title: 'Reset your password',
  body: html`
    <p>Type the e-mail address of your account. We send it a link to choose a new password.</p>
    ${formError(form)}
    <form method="post" action="${PATH}">
      ${emailField({
        value: email,
        autofocus: true,
        error: fields?.['email'],
        hasFormError: form !== undefined,
      })}
      ${submitButton({ label: 'Send me a link' })}
    </form>
    <p><a href="${SIGN_IN_PATH}">Back to sign-in</a></p>
  `,
});

const sentPage: Page = {
  title: 'Check your mail',
  body: html`
    <p>If an account has this address, a mail with a link is on its way. The link is valid for 30 minutes.</p>
    <p>No mail? Look in the spam folder, or check the address.</p>
    <p><a href="${PATH}">Request another link</a></p>
  `,
};

const passwordPage = (token: string, username?: string, { form, fields }: FormErrors = {}): Page => ({
  title: 'Choose a new password',
  body: html`
    <p>All devices on which you are signed in will be signed out.</p>
    ${formError(form)}
    <form method="post" action="${PATH}/complete">
      ${tokenField(token)}
      <input name="username" value="${username}" autocomplete="username" hidden />
      ${newPasswordField({
        name: 'new_password',
        label: 'New password',
        mayHaveSecondFactor: true,
        autofocus: true,
        error: fields?.['new_password'],
        hasFormError: form !== undefined,
      })}
      ${submitButton({ label: 'Set the new password' })}
    </form>
  `,
});

const donePage: Page = {
  title: 'Your password is changed',
  body: html`
    <p>All devices are signed out. Sign in with the new password.</p>
    <p><a href="${SIGN_IN_PATH}">Sign in</a></p>
  `,
};
