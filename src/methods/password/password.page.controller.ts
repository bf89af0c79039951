import {
  Body,
  Controller,
  HttpCode,
  HttpStatus,
  Post,
  Res,
  UseFilters,
  type OnModuleInit,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { z } from 'zod';
import { ExcludeFromOpenApi } from '../../authentication/describe.js';
import { ReturnTo } from '../../authentication/local-path.js';
import { Consumes, CurrentRequest, HttpsOnly, Public } from '../../authentication/plan.js';
import type { AdapterResponse, AuthRequest } from '../../authentication/request.js';
import {
  AccountParts,
  returnToField,
  type AccountPart,
  type SignInView,
} from '../../pages/account-parts.service.js';
import { field, submitButton } from '../../pages/forms.js';
import { html, type Html } from '../../pages/html.js';
import { ACCOUNT_PATH, PageFilter } from '../../pages/page.filter.js';
import { showRejectedForm, type FormMessages } from '../../pages/rejected-form.js';
import { SignInService } from '../../users/sign-in.service.js';
import { PasswordLoginService } from './password.service.js';

const SignInForm = z.object({
  username: z.string().max(256),
  password: z.string().max(1_024),
  returnTo: ReturnTo,
});

const MESSAGES: FormMessages = {
  invalid_credentials: 'The username or the password is incorrect.',
  too_many_attempts: 'Too many failed attempts. Wait a while, then try again.',
  temporarily_unavailable: 'Too many sign-ins are in progress. Try again.',
};

/** The form of the sign-in page. */
@Controller('account/sign-in/password')
@Public()
@HttpsOnly()
@ExcludeFromOpenApi()
@UseFilters(PageFilter)
export class PasswordPageController implements AccountPart, OnModuleInit {
  readonly order = 10;

  constructor(
    private readonly parts: AccountParts,
    private readonly login: PasswordLoginService,
    private readonly signIns: SignInService,
    private readonly host: HttpAdapterHost,
  ) {}

  onModuleInit(): void {
    this.parts.add(this);
  }

  signInForm({ username, returnTo, error }: SignInView): Html {
    const hasFormError = error !== undefined;
    return html`
      <form method="post" action="/account/sign-in/password">
        ${returnToField(returnTo)}
        ${field({
          name: 'username',
          label: 'Username',
          autocomplete: 'username webauthn',
          value: username,
          autofocus: !username,
          hasFormError,
        })}
        ${field({
          name: 'password',
          label: 'Password',
          type: 'password',
          autocomplete: 'current-password',
          maxLength: 1_024,
          autofocus: Boolean(username),
          hasFormError,
        })}
        ${submitButton({ label: 'Sign in' })}
      </form>
    `;
  }

  @Post()
  @Consumes('form')
  @HttpCode(HttpStatus.SEE_OTHER)
  async submitPassword(
    @Body({ schema: SignInForm }) { username, password, returnTo }: z.output<typeof SignInForm>,
    @CurrentRequest() request: AuthRequest,
    @Res({ passthrough: true }) response: AdapterResponse,
  ): Promise<string> {
    try {
      await this.login.signIn({ username, password, returnTo }, this.signIns.cookieIssuer(), request);
    } catch (error) {
      return showRejectedForm(this.host, response, error, MESSAGES, (errors) =>
        this.parts.signInPage({ username, returnTo, error: errors.form }, request),
      );
    }
    request.setHeader('Location', returnTo ?? ACCOUNT_PATH);
    return '';
  }
}
