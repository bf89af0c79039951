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
import { FACTORS } from '../../authentication/factors.js';
import { Caller, Consumes, CurrentRequest, HttpsOnly, SelfService } from '../../authentication/plan.js';
import type { Principal } from '../../authentication/principal.js';
import type { AdapterResponse, AuthRequest } from '../../authentication/request.js';
import { AccountParts, csrfFieldFor, type AccountPart } from '../../pages/account-parts.service.js';
import { field, formError, submitButton } from '../../pages/forms.js';
import { Html, html } from '../../pages/html.js';
import type { Page } from '../../pages/layout.js';
import { ACCOUNT_PATH, PageFilter } from '../../pages/page.filter.js';
import { showRejectedForm, type FormMessages } from '../../pages/rejected-form.js';
import { showPage } from '../../pages/show-page.js';
import { SignInService } from '../../users/sign-in.service.js';
import { TotpService, type TotpEnrolment } from './totp.service.js';

const MESSAGES: FormMessages = { invalid_body: 'This is not the current code.' };
const CodeForm = z.object({ code: z.string().max(20) });

/** The section of the account page, and the page that enrols an app. */
@Controller('account/totp')
@SelfService()
@HttpsOnly()
@ExcludeFromOpenApi()
@UseFilters(PageFilter)
export class TotpPageController implements AccountPart, OnModuleInit {
  readonly order = 30;

  constructor(
    private readonly parts: AccountParts,
    private readonly totp: TotpService,
    private readonly signIns: SignInService,
    private readonly authenticator: Authenticator,
    private readonly host: HttpAdapterHost,
  ) {}

  onModuleInit(): void {
    this.parts.add(this);
  }

  async section({ id }: Principal, csrf: Html): Promise<Html> {
    const app = await this.totp.find(id);
    return html`
      <section>
        <h2>Authenticator app</h2>
        ${
          app
            ? html`<p>
                Set up on
                <time datetime="${app.createdAt.toISOString()}"
                  >${app.createdAt.toISOString().slice(0, 10)}</time
                >.
              </p>`
            : html`<p>An app on your phone shows a new code every 30 seconds.</p>`
        }
        <form method="post" action="/account/totp">
          ${csrf} ${submitButton({ label: app ? 'Replace the app' : 'Set up an app', quiet: app !== null })}
        </form>
        ${
          app !== null &&
          html`<form method="post" action="/account/totp/remove">
            ${csrf} ${submitButton({ label: 'Remove the app', quiet: true })}
          </form>`
        }
      </section>
    `;
  }

  @Post()
  @Consumes('form')
  @HttpCode(HttpStatus.SEE_OTHER)
  async startTotp(@Caller() caller: Principal, @CurrentRequest() request: AuthRequest): Promise<void> {
    await this.totp.enrol(caller);
    request.setHeader('Location', '/account/totp');
  }

  @Get()
  async showTotpEnrolment(
    @Caller() caller: Principal,
    @Res({ passthrough: true }) response: AdapterResponse,
  ): Promise<string> {
    return showPage(this.host, response, this.enrolmentPage(await this.totp.pending(caller), caller));
  }

  @Post('confirm')
  @Consumes('form')
  @HttpCode(HttpStatus.SEE_OTHER)
  async confirmTotpEnrolment(
    @Body({ schema: CodeForm }) { code }: z.output<typeof CodeForm>,
    @Caller() caller: Principal,
    @CurrentRequest() request: AuthRequest,
    @Res({ passthrough: true }) response: AdapterResponse,
  ): Promise<string> {
    try {
      const epoch = await this.totp.confirm(caller, code);
      await this.signIns.reissue(caller, epoch, request, FACTORS.totp.amr);
    } catch (error) {
      return showRejectedForm(this.host, response, error, MESSAGES, async ({ form }) =>
        this.enrolmentPage(await this.totp.pending(caller), caller, form),
      );
    }
    request.setHeader('Location', ACCOUNT_PATH);
    return '';
  }

  @Post('remove')
  @Consumes('form')
  @HttpCode(HttpStatus.SEE_OTHER)
  async removeTotpApp(@Caller() caller: Principal, @CurrentRequest() request: AuthRequest): Promise<void> {
    await this.signIns.reissue(caller, await this.totp.removeApp(caller), request);
    request.setHeader('Location', ACCOUNT_PATH);
  }

  private enrolmentPage({ secret, qr }: TotpEnrolment, caller: Principal, error?: string): Page {
    return {
      title: 'Set up an authenticator app',
      body: html`
        <p>Scan this code with the app, or type the key into it.</p>
        <div class="qr" role="img" aria-label="QR code of the key below">${new Html(qr)}</div>
        <p class="code">${secret.replace(/.{4}(?=.)/g, '$& ')}</p>
        ${formError(error)}
        <form method="post" action="/account/totp/confirm">
          ${csrfFieldFor(this.authenticator, caller)}
          ${field({
            name: 'code',
            label: 'Code in the app',
            autocomplete: 'one-time-code',
            inputmode: 'numeric',
            maxLength: 20,
            autofocus: true,
            hasFormError: error !== undefined,
          })}
          ${submitButton({ label: 'Confirm' })}
        </form>
        <p><a href="${ACCOUNT_PATH}">Cancel</a></p>
      `,
    };
  }
}
