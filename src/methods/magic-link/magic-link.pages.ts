import { submitButton } from '../../pages/forms.js';
import { html } from '../../pages/html.js';
import type { Page } from '../../pages/layout.js';

/** Opening the link uses nothing up, because mail scanners open links, too. The button does. */
export const signInPage = (token: string): Page => ({
  title: 'Sign in',
  body: html`
    <p>Press the button to sign in on this device.</p>
    <form method="post" action="/auth/magic-link/redeem">
      <input type="hidden" name="token" value="${token}" />
      ${submitButton({ label: 'Sign in' })}
    </form>
  `,
});

export const otherBrowserPage: Page = {
  title: 'Continue in the other browser',
  body: html`
    <p>
      This link works only in the browser in which you started. Open it there, or type the code of the mail
      there.
    </p>
    <p>If you did not start a sign-in, close this page. Give the code to nobody.</p>
  `,
};
