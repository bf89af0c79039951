import { field, formError, submitButton } from '../../pages/forms.js';
import { html } from '../../pages/html.js';
import type { Page } from '../../pages/layout.js';
import { SIGN_IN_PATH } from '../../pages/page.filter.js';
import type { FormErrors } from '../../pages/rejected-form.js';
import { emailField } from '../../users/email-field.js';
import { normalizeUsername } from '../../users/username.js';
import { displayNameField } from './display-name-input.js';
import { tokenField } from './mailed-link-pages.service.js';
import { newPasswordField } from './new-password-field.js';

export const REGISTER_PATH = '/account/register';

const signInLink = html`<p><a href="${SIGN_IN_PATH}">Sign in</a></p>`;

export const closedPage = (registration: 'closed' | 'invitation' | 'open'): Page => ({
  title: 'Registration is closed',
  body: html`
    <p role="alert">
      ${
        registration === 'closed'
          ? 'This server does not accept registrations. Ask an administrator for an account.'
          : 'Accounts are created by invitation only. Ask an administrator for one.'
      }
    </p>
    ${signInLink}
  `,
});

export const requestPage = (
  { email, name }: { readonly email?: string; readonly name?: string } = {},
  { form, fields }: FormErrors = {},
): Page => ({
  title: 'Create an account',
  body: html`
    <p>We send a link to your address. You choose a username and a password there.</p>
    ${formError(form)}
    <form method="post" action="${REGISTER_PATH}">
      ${emailField({ value: email, error: fields?.['email'], hasFormError: form !== undefined, autofocus: true })}
      ${displayNameField(name, fields?.['name'])} ${submitButton({ label: 'Send me a link' })}
    </form>
    <p>You have an account? <a href="${SIGN_IN_PATH}">Sign in</a></p>
  `,
});

export const sentPage: Page = {
  title: 'Check your mail',
  body: html`
    <p>A mail is on its way to this address. Its link is valid for 24 hours.</p>
    <p>No mail? Look in the spam folder, or check the address.</p>
    <p><a href="${REGISTER_PATH}">Request another link</a></p>
  `,
};

/** @param username the typed one, or the address, if it can be one */
export const completionPage = (token: string, username: string, { form, fields }: FormErrors = {}): Page => ({
  title: 'Create your account',
  body: html`
    ${formError(form)}
    <form method="post" action="${REGISTER_PATH}/complete">
      ${tokenField(token)}
      ${field({
        name: 'username',
        label: 'Username',
        autocomplete: 'username',
        maxLength: 64,
        value: normalizeUsername(username) ?? (fields || form ? username : ''),
        hint: 'Letters, digits and . _ - or your whole e-mail address.',
        error: fields?.['username'],
        hasFormError: form !== undefined,
      })}
      ${newPasswordField({
        name: 'password',
        label: 'Password',
        mayHaveSecondFactor: false,
        error: fields?.['password'],
        hasFormError: form !== undefined,
      })}
      ${submitButton({ label: 'Create the account' })}
    </form>
  `,
});

export const donePage: Page = {
  title: 'Your account is ready',
  body: html`
    <p>Sign in with your username and your password.</p>
    ${signInLink}
  `,
};
