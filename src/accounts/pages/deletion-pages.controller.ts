import { Controller, Get, HttpCode, HttpStatus, Post, Res, UseFilters } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { Authenticator } from '../../authentication/authenticator.js';
import { ExcludeFromOpenApi } from '../../authentication/describe.js';
import {
  Caller,
  Consumes,
  CurrentRequest,
  HttpsOnly,
  Public,
  SelfService,
} from '../../authentication/plan.js';
import type { Principal } from '../../authentication/principal.js';
import type { AdapterResponse, AuthRequest } from '../../authentication/request.js';
import { assertMayChangeFactors } from '../../authentication/step-up.js';
import { csrfFieldFor } from '../../pages/account-parts.service.js';
import { formError, submitButton } from '../../pages/forms.js';
import { html } from '../../pages/html.js';
import type { Page } from '../../pages/layout.js';
import { ACCOUNT_PATH, PageFilter } from '../../pages/page.filter.js';
import { showRejectedForm, type FormErrors, type FormMessages } from '../../pages/rejected-form.js';
import { showPage } from '../../pages/show-page.js';
import { AccountsConfig } from '../accounts.config.js';
import { DeletionService } from '../deletion.service.js';
import { ProfileService } from '../profile.service.js';

const PATH = '/account/delete-account';
const DAY_MS = 24 * 60 * 60_000;
const MESSAGES: FormMessages = {
  last_admin: 'You are the last administrator of your tenant. Make another person administrator first.',
};

/** The pages on which a person deletes the own account. */
@Controller('account/delete-account')
@SelfService()
@HttpsOnly()
@ExcludeFromOpenApi()
@UseFilters(PageFilter)
export class DeletionPagesController {
  constructor(
    private readonly deletions: DeletionService,
    private readonly profiles: ProfileService,
    private readonly config: AccountsConfig,
    private readonly authenticator: Authenticator,
    private readonly host: HttpAdapterHost,
  ) {}

  @Get()
  async showDeletion(
    @Caller() caller: Principal,
    @Res({ passthrough: true }) response: AdapterResponse,
  ): Promise<string> {
    assertMayChangeFactors(caller);
    return showPage(this.host, response, await this.deletionPage(caller));
  }

  @Post()
  @Consumes('form')
  @HttpCode(HttpStatus.SEE_OTHER)
  async submitDeletion(
    @Caller() caller: Principal,
    @CurrentRequest() request: AuthRequest,
    @Res({ passthrough: true }) response: AdapterResponse,
  ): Promise<string> {
    try {
      await this.deletions.request(caller);
    } catch (error) {
      return showRejectedForm(this.host, response, error, MESSAGES, (errors) =>
        this.deletionPage(caller, errors),
      );
    }
    request.setHeader('Location', `${PATH}/done`);
    return '';
  }

  private async deletionPage(caller: Principal, { form }: FormErrors = {}): Promise<Page> {
    const { username, email, emailVerified } = await this.profiles.find(caller);
    const days = Math.round(this.config.deletionGraceMs / DAY_MS);
    return {
      title: 'Delete your account',
      body: html`
        ${formError(form)}
        <p>The account <strong>${username}</strong> is disabled at once, and deleted after ${days} days.</p>
        <p>
          ${
            email !== null && emailVerified
              ? html`Until then, a link that we send to <strong>${email}</strong> restores it.`
              : 'Your account has no confirmed e-mail address, so only an administrator can restore it.'
          }
        </p>
        <form method="post" action="${PATH}">
          ${csrfFieldFor(this.authenticator, caller)} ${submitButton({ label: 'Delete my account' })}
        </form>
        <p><a href="${ACCOUNT_PATH}">Cancel</a></p>
      `,
    };
  }
}

/** Public, because all sign-ins have ended. */
@Controller('account/delete-account/done')
@Public()
@ExcludeFromOpenApi()
export class DeletionDonePageController {
  constructor(private readonly host: HttpAdapterHost) {}

  @Get()
  showDeletionDone(@Res({ passthrough: true }) response: AdapterResponse): string {
    return showPage(this.host, response, donePage);
  }
}

const donePage: Page = {
  title: 'Your account is disabled',
  body: html`
    <p>You are signed out on all devices. The account will be deleted.</p>
    <p>To keep it, open the link in our mail, or ask an administrator.</p>
  `,
};
