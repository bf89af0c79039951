import { html } from './html.js';
import type { Page } from './layout.js';

/** What stands on the sign-in page. */
export interface SignInView {
  readonly client: string;
  readonly token: string;
  readonly username?: string | undefined;
  /** Why the last attempt failed. */
  readonly error?: string | undefined;
  readonly formsTo: readonly string[];
}

export const signInPage = ({ client, token, username, error, formsTo }: SignInView): Page => ({
  title: 'Sign in',
  formsTo,
  body: html`
    <p>to continue to <strong>${client}</strong></p>
    ${error && html`<p class="error" id="error" role="alert">${error}</p>`}
    <form method="post">
      <input type="hidden" name="token" value="${token}" />
      <label for="username">Username</label>
      <input
        id="username"
        name="username"
        value="${username}"
        autocomplete="username"
        autocapitalize="none"
        spellcheck="false"
        maxlength="256"
        required
        ${username ? '' : 'autofocus'}
        ${error && html`aria-invalid="true" aria-describedby="error"`}
      />
      <label for="password">Password</label>
      <input
        id="password"
        name="password"
        type="password"
        autocomplete="current-password"
        maxlength="1024"
        required
        ${username ? 'autofocus' : ''}
        ${error && html`aria-invalid="true" aria-describedby="error"`}
      />
      <button name="action" value="sign-in">Sign in</button>
      <button name="action" value="cancel" class="quiet" formnovalidate>Cancel</button>
    </form>
  `,
});
