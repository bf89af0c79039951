import {
  Body,
  Controller,
  HttpCode,
  HttpStatus,
  Post,
  Res,
  UseFilters,
  UseGuards,
  type OnModuleInit,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { z } from 'zod';
import { ExcludeFromOpenApi } from '../../authentication/describe.js';
import { ReturnTo } from '../../authentication/local-path.js';
import { Consumes, CurrentRequest, HttpsOnly, Public } from '../../authentication/plan.js';
import type { AdapterResponse, AuthRequest } from '../../authentication/request.js';
import { AccountParts, type AccountPart, type SignInView } from '../../pages/account-parts.service.js';
import type { Html } from '../../pages/html.js';
import { ACCOUNT_PATH, PageFilter } from '../../pages/page.filter.js';
import { MAIL_MESSAGES, showRejectedForm, type FormMessages } from '../../pages/rejected-form.js';
import { SameOriginGuard } from '../../pages/same-origin.guard.js';
import { showPage } from '../../pages/show-page.js';
import { EmailInput, addressOf } from '../../users/email-field.js';
import { SignInService } from '../../users/sign-in.service.js';
import { codePage, emailForm, emailPage } from './magic-link.pages.js';
import { MagicLinkService } from './magic-link.service.js';

const EmailForm = z.object({ email: EmailInput, returnTo: ReturnTo });
const CodeForm = z.object({ email: EmailInput, code: z.string().max(64), returnTo: ReturnTo });

const TOO_MANY = 'Too many attempts. Wait a while, then try again.';
const REQUEST_MESSAGES: FormMessages = { ...MAIL_MESSAGES, too_many_attempts: TOO_MANY };
const CODE_MESSAGES: FormMessages = {
  invalid_code: ['code', 'This code is incorrect, expired or already used.'],
  too_many_attempts: TOO_MANY,
};

/** The form of the sign-in page, and the page on which this browser types the code of the mail. */
@Controller('account/sign-in/magic-link')
@Public()
@HttpsOnly()
@ExcludeFromOpenApi()
@UseGuards(SameOriginGuard)
@UseFilters(PageFilter)
export class MagicLinkPageController implements AccountPart, OnModuleInit {
  readonly order = 15;

  constructor(
    private readonly parts: AccountParts,
    private readonly links: MagicLinkService,
    private readonly signIns: SignInService,
    private readonly host: HttpAdapterHost,
  ) {}

  onModuleInit(): void {
    this.parts.add(this);
  }

  signInForm({ returnTo }: SignInView): Html {
    return emailForm({ returnTo, quiet: true });
  }

  /** Does not redirect: the next page needs the address, which belongs in no URL. */
  @Post()
  @Consumes('form')
  @HttpCode(HttpStatus.OK)
  async submitMagicLinkRequest(
    @Body({ schema: EmailForm }) { email, returnTo = ACCOUNT_PATH }: z.output<typeof EmailForm>,
    @CurrentRequest() request: AuthRequest,
    @Res({ passthrough: true }) response: AdapterResponse,
  ): Promise<string> {
    try {
      await this.links.request(addressOf(email), { as: this.signIns.cookieIssuer(), returnTo }, request);
    } catch (error) {
      return showRejectedForm(this.host, response, error, REQUEST_MESSAGES, (errors) =>
        emailPage({ email, returnTo, errors }),
      );
    }
    return showPage(this.host, response, codePage({ email, returnTo }));
  }

  @Post('code')
  @Consumes('form')
  @HttpCode(HttpStatus.SEE_OTHER)
  async submitMagicLinkCode(
    @Body({ schema: CodeForm }) { email, code, returnTo = ACCOUNT_PATH }: z.output<typeof CodeForm>,
    @CurrentRequest() request: AuthRequest,
    @Res({ passthrough: true }) response: AdapterResponse,
  ): Promise<string> {
    try {
      const as = this.signIns.cookieIssuer();
      await this.links.redeemCode(addressOf(email), code, { as, returnTo }, request);
    } catch (error) {
      return showRejectedForm(this.host, response, error, CODE_MESSAGES, (errors) =>
        codePage({ email, returnTo, errors }),
      );
    }
    request.setHeader('Location', returnTo);
    return '';
  }
}
