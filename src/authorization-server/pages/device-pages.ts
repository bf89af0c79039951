import type { Client, KoaContextWithOIDC } from 'oidc-provider';
import { errors } from '../provider/oidc-provider.js';
import { html, type HtmlContent } from '../../pages/html.js';
import { errorPage } from '../../pages/layout.js';
import { INTERACTION_ENDED, clientNameOf, sendPage } from './provider-pages.js';

/** An error of oidc-provider about a user code. */
type UserCodeError = Error & { readonly userCode?: string };

const ERROR_TEXTS: Readonly<Record<string, string>> = {
  NoCodeError: 'Type in the code that your device shows.',
  NotFoundError: 'There is no such code. Compare it with the code that your device shows.',
  ExpiredError: 'This code has expired. Start again on your device to get a new code.',
  TooManyUserCodes: 'There were too many wrong codes. Wait 15 minutes, then try again.',
  AlreadyUsedError: 'This code was already used. Start again on your device to get a new code.',
};

/** A form with oidc-provider's CSRF token. */
const codeForm = (ctx: KoaContextWithOIDC, content: HtmlContent) => {
  const { secret } = ctx.oidc.session!.state as { secret: string };
  return html`<form method="post" action="${ctx.oidc.urlFor('code_verification')}">
    <input type="hidden" name="xsrf" value="${secret}" />
    ${content}
  </form>`;
};

/** The pages of the device flow (RFC 8628 section 3.3): options of oidc-provider's `features.deviceFlow`. */
export const deviceFlowPages = {
  async userCodeInputSource(ctx: KoaContextWithOIDC, _form: string, _out?: unknown, failure?: UserCodeError) {
    if (failure?.name === 'AbortedError') {
      sendPage(ctx, {
        title: 'Your device is not connected',
        body: html`<p role="status">Access was denied. You can close this page.</p>`,
      });
      return;
    }
    if (failure instanceof errors.SessionNotFound) {
      // oidc-provider would store the session for a form, but has sent no cookie for it, and fails if the session is new.
      Object.assign(ctx.oidc.session!, { touched: false });
      sendPage(ctx, errorPage(INTERACTION_ENDED, 'interaction_not_found'));
      return;
    }
    const error =
      failure && (ERROR_TEXTS[failure.name] ?? 'Something went wrong. Try again with a new code.');
    // oidc-provider sends this form with status 200, also after an error.
    if (failure && ctx.status === 200) ctx.status = 422;
    sendPage(ctx, {
      title: 'Connect a device',
      body: codeForm(
        ctx,
        html`
          ${error && html`<p class="error" id="error" role="alert">${error}</p>`}
          <label for="user_code">The code that your device shows</label>
          <input
            id="user_code"
            name="user_code"
            class="user-code"
            value="${failure?.userCode}"
            autocomplete="off"
            autocapitalize="characters"
            spellcheck="false"
            maxlength="32"
            required
            autofocus
            ${error && html`aria-invalid="true" aria-describedby="error"`}
          />
          <button>Continue</button>
        `,
      ),
    });
  },

  async userCodeConfirmSource(
    ctx: KoaContextWithOIDC,
    _form: string,
    client: Client,
    _device: unknown,
    userCode: string,
  ) {
    sendPage(ctx, {
      title: 'Is this your device?',
      body: codeForm(
        ctx,
        html`
          <p>
            <strong>${clientNameOf(client)}</strong> wants to be connected. Your device must show this code:
          </p>
          <p class="user-code">${userCode}</p>
          <p>
            Continue only if you started this yourself, on a device in front of you. If another person sent
            you a link or a code, that person gets the access that you allow.
          </p>
          <input type="hidden" name="user_code" value="${userCode}" />
          <button name="confirm" value="yes">Yes, this is my device</button>
          <button name="abort" value="yes" class="quiet">No</button>
        `,
      ),
    });
  },

  async successSource(ctx: KoaContextWithOIDC) {
    sendPage(ctx, {
      title: 'Your device is connected',
      body: html`<p role="status">
        Continue with <strong>${clientNameOf(ctx.oidc.client!)}</strong> on your device. You can close this
        page.
      </p>`,
    });
  },
};
