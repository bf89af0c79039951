import { Controller, HttpCode, HttpStatus, Post, Res, UseFilters, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { ExcludeFromOpenApi } from '../../authentication/describe.js';
import { Caller, Consumes, HttpsOnly, SelfService } from '../../authentication/plan.js';
import type { Principal } from '../../authentication/principal.js';
import type { AdapterResponse } from '../../authentication/request.js';
import { AccountParts, type AccountPart } from '../../pages/account-parts.service.js';
import { submitButton } from '../../pages/forms.js';
import { html, type Html } from '../../pages/html.js';
import { ACCOUNT_PATH, PageFilter } from '../../pages/page.filter.js';
import { showPage } from '../../pages/show-page.js';
import { RecoveryCodeService } from './recovery-code.service.js';

/** The section of the account page, and the page that shows new codes once. */
@Controller('account/recovery-codes')
@SelfService()
@HttpsOnly()
@ExcludeFromOpenApi()
@UseFilters(PageFilter)
export class RecoveryCodePageController implements AccountPart, OnModuleInit {
  readonly order = 40;

  constructor(
    private readonly parts: AccountParts,
    private readonly codes: RecoveryCodeService,
    private readonly host: HttpAdapterHost,
  ) {}

  onModuleInit(): void {
    this.parts.add(this);
  }

  async section({ id }: Principal, csrf: Html): Promise<Html> {
    const { unused, createdAt } = await this.codes.count(id);
    return html`
      <section>
        <h2>Recovery codes</h2>
        <p>
          ${
            createdAt
              ? `You have ${unused} unused codes. New codes replace them.`
              : 'Each code replaces a lost second factor once. Keep them on paper.'
          }
        </p>
        <form method="post" action="/account/recovery-codes">
          ${csrf} ${submitButton({ label: 'Create new codes', quiet: true })}
        </form>
      </section>
    `;
  }

  @Post()
  @Consumes('form')
  @HttpCode(HttpStatus.OK)
  async showNewRecoveryCodes(
    @Caller() caller: Principal,
    @Res({ passthrough: true }) response: AdapterResponse,
  ): Promise<string> {
    const codes = await this.codes.create(caller);
    return showPage(this.host, response, {
      title: 'Your recovery codes',
      body: html`
        <p>
          Print or write down these codes now. They are not shown again. The codes from before are invalid.
        </p>
        <ul class="codes">
          ${codes.map((code) => html`<li class="code">${code}</li>`)}
        </ul>
        <p><a href="${ACCOUNT_PATH}">I have kept the codes</a></p>
      `,
    });
  }
}
