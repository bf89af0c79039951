import {
  Body,
  Controller,
  HttpCode,
  HttpStatus,
  Param,
  Post,
  UseFilters,
  type OnModuleInit,
} from '@nestjs/common';
import { z } from 'zod';
import { ExcludeFromOpenApi } from '../../authentication/describe.js';
import { Caller, Consumes, CurrentRequest, HttpsOnly, SelfService } from '../../authentication/plan.js';
import { assertMayManageCredentials, type Principal } from '../../authentication/principal.js';
import type { AuthRequest } from '../../authentication/request.js';
import { assertMayChangeFactors, isRecentlySignedIn } from '../../authentication/step-up.js';
import { AccountParts, type AccountPart, type SignInView } from '../../pages/account-parts.service.js';
import { field, submitButton } from '../../pages/forms.js';
import { html, type Html } from '../../pages/html.js';
import { ACCOUNT_PATH, PageFilter, STEP_UP_PATH } from '../../pages/page.filter.js';
import { SignInService } from '../../users/sign-in.service.js';
import { authenticatorName } from './passkey.authenticators.js';
import { PASSKEY_SCRIPT_PATH } from './passkey.browser.js';
import type { Passkey } from './passkey.entity.js';
import { PasskeyRegistrations } from './passkey.registration.service.js';
import { PasskeyName } from './passkey.schemas.js';

const RenameForm = z.object({ name: PasskeyName });

/** The form of the sign-in page, and the section of the account page. */
@Controller('account/passkeys')
@SelfService()
@HttpsOnly()
@ExcludeFromOpenApi()
@UseFilters(PageFilter)
export class PasskeyPageController implements AccountPart, OnModuleInit {
  readonly order = 20;
  readonly scripts = [PASSKEY_SCRIPT_PATH];

  constructor(
    private readonly parts: AccountParts,
    private readonly passkeys: PasskeyRegistrations,
    private readonly signIns: SignInService,
  ) {}

  onModuleInit(): void {
    this.parts.add(this);
  }

  signInForm({ returnTo = ACCOUNT_PATH }: SignInView): Html {
    return html`
      <form
        data-webauthn="get"
        data-options-path="/auth/passkey/options"
        data-path="/auth/passkey"
        data-return-to="${returnTo}"
        data-conditional
      >
        <input type="hidden" name="as" value="${this.signIns.cookieIssuer()}" />
        ${submitButton({ label: 'Sign in with a passkey', quiet: true })}
      </form>
    `;
  }

  async section(caller: Principal, csrf: Html): Promise<Html> {
    const passkeys = await this.passkeys.list(caller);
    return html`
      <section>
        <h2>Passkeys</h2>
        <p>A passkey signs you in with the lock of your phone or computer. No fake site can use it.</p>
        ${passkeys.map((passkey) => passkeyItem(passkey, csrf))}
        ${
          isRecentlySignedIn(caller)
            ? html`<form
                data-webauthn="create"
                data-options-path="/passkeys/options"
                data-path="/passkeys"
                data-return-to="${ACCOUNT_PATH}"
              >
                ${csrf}
                ${field({
                  id: 'new-passkey',
                  name: 'name',
                  label: 'Name of a new passkey',
                  autocomplete: 'off',
                  maxLength: 100,
                  optional: true,
                })}
                ${submitButton({ label: 'Register a passkey' })}
              </form>`
            : html`<p>
                <a href="${STEP_UP_PATH}?returnTo=${encodeURIComponent(ACCOUNT_PATH)}"
                  >Confirm that it is you, to register a passkey</a
                >
              </p>`
        }
      </section>
    `;
  }

  @Post(':id/rename')
  @Consumes('form')
  @HttpCode(HttpStatus.SEE_OTHER)
  async submitPasskeyName(
    @Param('id') id: string,
    @Body({ schema: RenameForm }) { name }: z.output<typeof RenameForm>,
    @Caller() caller: Principal,
    @CurrentRequest() request: AuthRequest,
  ): Promise<void> {
    assertMayManageCredentials(caller);
    await this.passkeys.rename(caller, id, name);
    request.setHeader('Location', ACCOUNT_PATH);
  }

  @Post(':id/remove')
  @Consumes('form')
  @HttpCode(HttpStatus.SEE_OTHER)
  async submitPasskeyRemoval(
    @Param('id') id: string,
    @Caller() caller: Principal,
    @CurrentRequest() request: AuthRequest,
  ): Promise<void> {
    assertMayChangeFactors(caller);
    await this.signIns.reissue(caller, await this.passkeys.remove(caller, id), request);
    request.setHeader('Location', ACCOUNT_PATH);
  }
}

function passkeyItem({ id, name, aaguid, lastUsedAt }: Passkey, csrf: Html): Html {
  const used = lastUsedAt ? `last used on ${lastUsedAt.toISOString().slice(0, 10)}` : 'not used yet';
  return html`
    <div class="item">
      <p><strong>${name}</strong><br />${authenticatorName(aaguid)}, ${used}</p>
      <details>
        <summary>Rename or remove</summary>
        <form method="post" action="/account/passkeys/${id}/rename">
          ${csrf}
          ${field({ id: `name-${id}`, name: 'name', label: 'Name', autocomplete: 'off', value: name, maxLength: 100 })}
          ${submitButton({ label: 'Rename', quiet: true })}
        </form>
        <form method="post" action="/account/passkeys/${id}/remove">
          ${csrf} ${submitButton({ label: 'Remove this passkey', quiet: true })}
        </form>
      </details>
    </div>
  `;
}
