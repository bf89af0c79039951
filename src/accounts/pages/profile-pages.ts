import { formError, submitButton } from '../../pages/forms.js';
import { html, type Html } from '../../pages/html.js';
import type { Page } from '../../pages/layout.js';
import { ACCOUNT_PATH } from '../../pages/page.filter.js';
import type { FormErrors } from '../../pages/rejected-form.js';
import { emailField } from '../../users/email-field.js';
import type { Profile } from '../profile.service.js';
import { displayNameField } from './display-name-input.js';

export const profileSection = ({ username, name, email, emailVerified }: Profile, csrf: Html): Html => html`
  <section>
    <h2>Profile</h2>
    <dl>
      <dt>Username</dt>
      <dd>${username}</dd>
      <dt>Name</dt>
      <dd>${name ?? 'None'} <a href="/account/change-name">Change name</a></dd>
      <dt>E-mail address</dt>
      <dd>
        ${email ?? 'None'}${email !== null && !emailVerified && ' (not confirmed)'}
        <a href="/account/change-email">Change e-mail address</a>
      </dd>
    </dl>
    ${
      email !== null &&
      !emailVerified &&
      html`<form method="post" action="/account/verify-email">
        ${csrf} ${submitButton({ label: 'Confirm this address', quiet: true })}
      </form>`
    }
    <form method="post" action="/account/sign-out">
      ${csrf} ${submitButton({ label: 'Sign out', quiet: true })}
      ${submitButton({ label: 'Sign out on all devices', name: 'everywhere', value: 'true', quiet: true })}
    </form>
    <p><a href="/account/delete-account">Delete my account</a></p>
  </section>
`;

const cancelLink = html`<p><a href="${ACCOUNT_PATH}">Cancel</a></p>`;

export const namePage = (name: string, csrf: Html, { fields }: FormErrors = {}): Page => ({
  title: 'Change your name',
  body: html`
    <form method="post" action="/account/change-name">
      ${csrf} ${displayNameField(name, fields?.['name'], true)} ${submitButton({ label: 'Save' })}
    </form>
    ${cancelLink}
  `,
});

export const emailPage = (email: string, csrf: Html, { form, fields }: FormErrors = {}): Page => ({
  title: 'Change your e-mail address',
  body: html`
    <p>We send a link to the new address, and another one to the present address.</p>
    ${formError(form)}
    <form method="post" action="/account/change-email">
      ${csrf}
      ${emailField({
        label: 'New e-mail address',
        value: email,
        autofocus: true,
        error: fields?.['email'],
        hasFormError: form !== undefined,
      })}
      ${submitButton({ label: 'Send the links' })}
    </form>
    ${cancelLink}
  `,
});

export const mailsSentPage: Page = {
  title: 'Check your mail',
  body: html`
    <p>
      Open the link in each mail within 30 minutes. If you change your address, the change takes effect when
      the new address and the present one are confirmed.
    </p>
    <p><a href="${ACCOUNT_PATH}">Your account</a></p>
  `,
};
