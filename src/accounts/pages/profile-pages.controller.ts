import {
  Body,
  Controller,
  Get,
  HttpCode,
  HttpStatus,
  Post,
  Res,
  UseFilters,
  type OnModuleInit,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { z } from 'zod';
import { Authenticator } from '../../authentication/authenticator.js';
import { ExcludeFromOpenApi } from '../../authentication/describe.js';
import { Caller, Consumes, CurrentRequest, HttpsOnly, SelfService } from '../../authentication/plan.js';
import type { Principal } from '../../authentication/principal.js';
import type { AdapterResponse, AuthRequest } from '../../authentication/request.js';
import { assertMayChangeFactors } from '../../authentication/step-up.js';
import { AccountParts, csrfFieldFor, type AccountPart } from '../../pages/account-parts.service.js';
import type { Html } from '../../pages/html.js';
import { ACCOUNT_PATH, PageFilter, SIGN_IN_PATH } from '../../pages/page.filter.js';
import { MAIL_MESSAGES, showRejectedForm } from '../../pages/rejected-form.js';
import { showPage } from '../../pages/show-page.js';
import { EmailInput, addressOf } from '../../users/email-field.js';
import { LogoutService } from '../../users/logout.service.js';
import { EmailChangeService } from '../email-change.service.js';
import { ProfileService } from '../profile.service.js';
import { DisplayNameInput, displayNameOf } from './display-name-input.js';
import { emailPage, mailsSentPage, namePage, profileSection } from './profile-pages.js';

const NameForm = z.object({ name: DisplayNameInput });
const EmailForm = z.object({ email: EmailInput });
const SignOutForm = z.object({ everywhere: z.literal('true').optional() });

/** The first section of the account page, and the pages that change the profile. */
@Controller('account')
@SelfService()
@HttpsOnly()
@ExcludeFromOpenApi()
@UseFilters(PageFilter)
export class ProfilePagesController implements AccountPart, OnModuleInit {
  readonly order = 5;

  constructor(
    private readonly parts: AccountParts,
    private readonly profiles: ProfileService,
    private readonly emails: EmailChangeService,
    private readonly logouts: LogoutService,
    private readonly authenticator: Authenticator,
    private readonly host: HttpAdapterHost,
  ) {}

  onModuleInit(): void {
    this.parts.add(this);
  }

  async section(caller: Principal, csrf: Html): Promise<Html> {
    return profileSection(await this.profiles.find(caller), csrf);
  }

  @Get('change-name')
  async showNameForm(
    @Caller() caller: Principal,
    @Res({ passthrough: true }) response: AdapterResponse,
  ): Promise<string> {
    const { name } = await this.profiles.find(caller);
    return showPage(this.host, response, namePage(name ?? '', this.csrfOf(caller)));
  }

  @Post('change-name')
  @Consumes('form')
  @HttpCode(HttpStatus.SEE_OTHER)
  async submitName(
    @Body({ schema: NameForm }) { name }: z.output<typeof NameForm>,
    @Caller() caller: Principal,
    @CurrentRequest() request: AuthRequest,
    @Res({ passthrough: true }) response: AdapterResponse,
  ): Promise<string> {
    try {
      await this.profiles.changeName(caller, displayNameOf(name));
    } catch (error) {
      return showRejectedForm(this.host, response, error, {}, (errors) =>
        namePage(name, this.csrfOf(caller), errors),
      );
    }
    request.setHeader('Location', ACCOUNT_PATH);
    return '';
  }

  /** Requires a recent sign-in at once, so that nobody types an address in vain. */
  @Get('change-email')
  showEmailForm(@Caller() caller: Principal, @Res({ passthrough: true }) response: AdapterResponse): string {
    assertMayChangeFactors(caller);
    return showPage(this.host, response, emailPage('', this.csrfOf(caller)));
  }

  @Post('change-email')
  @Consumes('form')
  @HttpCode(HttpStatus.SEE_OTHER)
  async submitEmail(
    @Body({ schema: EmailForm }) { email }: z.output<typeof EmailForm>,
    @Caller() caller: Principal,
    @CurrentRequest() request: AuthRequest,
    @Res({ passthrough: true }) response: AdapterResponse,
  ): Promise<string> {
    try {
      await this.emails.request(caller, addressOf(email), request.ip);
    } catch (error) {
      return showRejectedForm(this.host, response, error, MAIL_MESSAGES, (errors) =>
        emailPage(email, this.csrfOf(caller), errors),
      );
    }
    request.setHeader('Location', '/account/change-email/sent');
    return '';
  }

  @Post('verify-email')
  @Consumes('form')
  @HttpCode(HttpStatus.SEE_OTHER)
  async submitEmailVerification(
    @Caller() caller: Principal,
    @CurrentRequest() request: AuthRequest,
  ): Promise<void> {
    await this.emails.requestVerification(caller, request.ip);
    request.setHeader('Location', '/account/change-email/sent');
  }

  @Get('change-email/sent')
  showEmailsSent(@Res({ passthrough: true }) response: AdapterResponse): string {
    return showPage(this.host, response, mailsSentPage);
  }

  @Post('sign-out')
  @Consumes('form')
  @HttpCode(HttpStatus.SEE_OTHER)
  async signOut(
    @Body({ schema: SignOutForm }) { everywhere }: z.output<typeof SignOutForm>,
    @Caller() caller: Principal,
    @CurrentRequest() request: AuthRequest,
  ): Promise<void> {
    await this.logouts.logOut(caller, everywhere === 'true', request);
    request.setHeader('Location', SIGN_IN_PATH);
  }

  private csrfOf(caller: Principal): Html {
    return csrfFieldFor(this.authenticator, caller);
  }
}
