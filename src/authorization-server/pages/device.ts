import type { Client, KoaContextWithOIDC } from 'oidc-provider';
import { html, type Content } from './html.js';
import { nameOf, show } from './show.js';

/** What the engine knows of a failure with a code. */
type Failure = Error & { readonly userCode?: string };

const SAYS: Readonly<Record<string, string>> = {
  NoCodeError: 'Type in the code that your device shows.',
  NotFoundError: 'There is no such code. Compare it with the one that your device shows.',
  ExpiredError: 'This code has run out. Ask your device for a new one.',
  TooManyCodes: 'There were too many wrong codes. Wait a quarter of an hour, then try again.',
  AlreadyUsedError: 'This code was used already. Ask your device for a new one.',
};

/** The engine's token against forms of other sites, and where its form goes. */
const formOf = (ctx: KoaContextWithOIDC, inside: Content) => {
  const { secret } = ctx.oidc.session!.state as { secret: string };
  return html`<form method="post" action="${ctx.oidc.urlFor('code_verification')}">
    <input type="hidden" name="xsrf" value="${secret}" />
    ${inside}
  </form>`;
};

/** The pages of the device flow (RFC 8628, section 3.3), as the engine's `features.deviceFlow` takes them. */
export const devicePages = {
  async userCodeInputSource(ctx: KoaContextWithOIDC, _form: string, _out?: unknown, failure?: Failure) {
    if (failure?.name === 'AbortedError') {
      show(ctx, {
        title: 'The device was refused',
        body: html`<p role="status">It gets no access. You can close this page.</p>`,
      });
      return;
    }
    const error = failure && (SAYS[failure.name] ?? 'This did not work. Try it again with a new code.');
    // The engine counts it as a success that the form is shown again.
    if (failure && ctx.status === 200) ctx.status = 422;
    show(ctx, {
      title: 'Connect a device',
      body: formOf(
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
    show(ctx, {
      title: 'Is this your device?',
      body: formOf(
        ctx,
        html`
          <p><strong>${nameOf(client)}</strong> wants to be connected. Your device must show this code:</p>
          <p class="user-code">${userCode}</p>
          <p>
            Go on only if you have begun this yourself, on a device that is before you. Whoever sent you a
            link or a code gets what you allow.
          </p>
          <input type="hidden" name="user_code" value="${userCode}" />
          <button name="confirm" value="yes">Yes, this is my device</button>
          <button name="abort" value="yes" class="quiet">No</button>
        `,
      ),
    });
  },

  async successSource(ctx: KoaContextWithOIDC) {
    show(ctx, {
      title: 'Your device is connected',
      body: html`<p role="status">
        <strong>${nameOf(ctx.oidc.client!)}</strong> goes on by itself. You can close this page.
      </p>`,
    });
  },
};
