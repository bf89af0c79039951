import { returnToField } from '../../pages/account-parts.service.js';
import { field, formError, submitButton } from '../../pages/forms.js';
import { html, type Html } from '../../pages/html.js';
import type { Page } from '../../pages/layout.js';
import { SIGN_IN_PATH } from '../../pages/page.filter.js';
import type { FormErrors } from '../../pages/rejected-form.js';
import { emailField } from '../../users/email-field.js';

const PATH = '/account/sign-in/magic-link';

export interface EmailView {
  readonly email?: string;
  readonly returnTo?: string | undefined;
  readonly errors?: FormErrors;
  /** Whether another form of the page is the main one. */
  readonly quiet?: boolean;
}

export const emailForm = ({ email, returnTo, errors, quiet = false }: EmailView): Html => html`
  <form method="post" action="${PATH}">
    ${returnToField(returnTo)}
    ${emailField({
      value: email,
      autofocus: !quiet,
      error: errors?.fields?.['email'],
      hasFormError: errors?.form !== undefined,
    })}
    ${submitButton({ label: 'Send me a link and a code', quiet })}
  </form>
`;

export const emailPage = (view: EmailView): Page => ({
  title: 'Sign in by mail',
  body: html`
    ${formError(view.errors?.form)} ${emailForm(view)}
    <p><a href="${SIGN_IN_PATH}">Back to sign-in</a></p>
  `,
});

/** The same for every address. */
export const codePage = ({ email, returnTo, errors }: EmailView): Page => ({
  title: 'Check your mail',
  body: html`
    <p>
      If an account has this address, a mail with a link and a code is on its way. Open the link in this
      browser, or type the code here.
    </p>
    ${formError(errors?.form)}
    <form method="post" action="${PATH}/code">
      ${returnToField(returnTo)}
      <input type="hidden" name="email" value="${email}" />
      ${field({
        name: 'code',
        label: 'Code of the mail',
        autocomplete: 'one-time-code',
        inputmode: 'numeric',
        maxLength: 20,
        autofocus: true,
        hint: 'It is valid for 10 minutes.',
        error: errors?.fields?.['code'],
        hasFormError: errors?.form !== undefined,
      })}
      ${submitButton({ label: 'Sign in' })}
    </form>
    <p><a href="${SIGN_IN_PATH}">Start again</a></p>
  `,
});

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
