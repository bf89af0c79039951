import { field, formError, submitButton } from '../../pages/forms.js';
import { html, type Html } from '../../pages/html.js';
import type { Page } from '../../pages/layout.js';
import { factorForms, scriptsOf, type FactorForm } from '../../pages/factor-forms.js';

export interface SignInView {
  /** The client's name. */
  readonly client: string;
  readonly csrfToken: string;
  readonly username?: string | undefined;
  /** Why the last attempt failed. */
  readonly error?: string | undefined;
  /** The factors that sign in without a username. */
  readonly factors: readonly FactorForm[];
  readonly formAction: readonly string[];
}

export const signInPage = ({
  client,
  csrfToken,
  username,
  error,
  formAction,
  factors,
}: SignInView): Page => ({
  title: 'Sign in',
  formAction,
  scripts: scriptsOf(factors),
  body: html`
    <p>to continue to <strong>${client}</strong></p>
    ${formError(error)}
    <form method="post">
      <input type="hidden" name="token" value="${csrfToken}" />
      ${field({
        name: 'username',
        label: 'Username',
        autocomplete: 'username webauthn',
        value: username,
        autofocus: !username,
        hasFormError: error !== undefined,
      })}
      ${field({
        name: 'password',
        label: 'Password',
        type: 'password',
        autocomplete: 'current-password',
        maxLength: 1024,
        autofocus: Boolean(username),
        hasFormError: error !== undefined,
      })}
      ${submitButton({ name: 'action', value: 'sign-in', label: 'Sign in' })}
      <button name="action" value="cancel" class="quiet" formnovalidate>Cancel</button>
    </form>
    ${factorForms({
      factors,
      hidden: html`<input type="hidden" name="token" value="${csrfToken}" />`,
      submit: { name: 'action', value: 'factor' },
      quiet: true,
    })}
  `,
});

export interface SecondStepPageView {
  readonly csrfToken: string;
  readonly ticket: string;
  readonly factors: readonly FactorForm[];
  readonly error?: string | undefined;
  readonly formAction: readonly string[];
}

export const secondStepPage = ({
  csrfToken,
  ticket,
  factors,
  error,
  formAction,
}: SecondStepPageView): Page => ({
  title: 'Confirm that it is you',
  formAction,
  scripts: scriptsOf(factors),
  body: factorForms({
    factors,
    hidden: html`
      <input type="hidden" name="token" value="${csrfToken}" />
      <input type="hidden" name="mfa_token" value="${ticket}" />
    `,
    submit: { name: 'action', value: 'second-step' },
    error,
  }),
});

export interface ScopeChoice {
  /** The value of the checkbox. */
  readonly field: string;
  readonly description: string;
}

export interface ConsentView {
  /** The client's name and its home page. */
  readonly client: string;
  readonly clientUri?: string | undefined;
  /** Why the client's name is unverified. */
  readonly origin?: 'self-registered' | { readonly publishedAt: string } | undefined;
  /** Where the browser goes next, see {@link describeRedirect}; undefined in the device flow. */
  readonly redirect?: string | undefined;
  readonly username: string;
  readonly csrfToken: string;
  /** Descriptions of permissions without a checkbox. */
  readonly required: readonly string[];
  readonly optional: readonly { readonly resource: string; readonly scopes: readonly ScopeChoice[] }[];
  /** Descriptions of scopes from an earlier consent. */
  readonly granted: readonly string[];
  readonly formAction: readonly string[];
}

/** No button has the focus, so that pressing Enter does not allow access by accident. */
export const consentPage = (view: ConsentView): Page => ({
  title: `Allow ${view.client}?`,
  formAction: view.formAction,
  body: html`
    <p>
      <strong>${view.client}</strong> asks for access. You are signed in as <strong>${view.username}</strong>.
    </p>
    ${unverified(view.origin)}
    ${view.redirect && html`<p>After your decision, your browser goes to <strong>${view.redirect}</strong>.</p>`}
    ${view.clientUri && html`<p>Its home page is <a href="${view.clientUri}">${view.clientUri}</a></p>`}
    <form method="post">
      <input type="hidden" name="token" value="${view.csrfToken}" />
      ${
        view.required.length > 0 &&
        html`<p>It will be able to</p>
          ${list(view.required)}`
      }
      ${view.optional.map(choices)}
      ${
        view.granted.length > 0 &&
        html`<p>You have already allowed it to</p>
          ${list(view.granted)}`
      }
      <button name="action" value="allow">Allow</button>
      <button name="action" value="deny" class="quiet">Deny</button>
    </form>
    <p><a href="?as=other">Sign in with another account</a></p>
  `,
});

function unverified(origin: ConsentView['origin']): Html | undefined {
  if (!origin) return undefined;
  return html`<p class="note">
    ${
      origin === 'self-registered'
        ? 'This application has registered itself.'
        : html`This application is described by <strong>${origin.publishedAt}</strong>.`
    }
    Nobody here has checked its name.
  </p>`;
}

const LOOPBACK_HOST = /^(localhost|127\.0\.0\.1|\[::1\])$/;

/** Describes a redirect URI. Names of other alphabets appear in their ASCII form (`xn--…`), which cannot imitate another name. */
export function describeRedirect(uri: unknown): string | undefined {
  if (typeof uri !== 'string' || !URL.canParse(uri)) return undefined;
  const { protocol, hostname, port, host } = new URL(uri);
  if (!/^https?:$/.test(protocol)) return `the application for ${protocol}// on this device`;
  if (LOOPBACK_HOST.test(hostname)) return `a program on this computer (port ${port || '80'})`;
  return host;
}

const list = (lines: readonly string[]): Html =>
  html`<ul>
    ${lines.map((line) => html`<li>${line}</li>`)}
  </ul>`;

const choices = ({ resource, scopes }: ConsentView['optional'][number]): Html => html`
  <fieldset>
    <legend>
      ${resource ? html`At <span class="resource">${resource}</span> it asks to` : 'It also asks to'}
    </legend>
    ${scopes.map(
      ({ field, description }) => html`
        <label class="choice"
          ><input type="checkbox" name="scope" value="${field}" checked /> ${description}</label
        >
      `,
    )}
  </fieldset>
`;
