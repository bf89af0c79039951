import { html, type Html } from './html.js';
import type { Page } from './layout.js';

/** One scope of one resource, which may be ticked or not. */
export interface Asked {
  /** The name of its checkbox. */
  readonly field: string;
  readonly says: string;
}

/** What stands on the consent page. */
export interface ConsentView {
  readonly client: string;
  readonly home?: string | undefined;
  readonly who: string;
  readonly token: string;
  /** What comes with it and cannot be left out. */
  readonly fixed: readonly string[];
  readonly asked: readonly { readonly resource: string; readonly scopes: readonly Asked[] }[];
  /** What was given before. */
  readonly before: readonly string[];
  readonly formsTo: readonly string[];
}

const list = (lines: readonly string[]): Html =>
  html`<ul>
    ${lines.map((line) => html`<li>${line}</li>`)}
  </ul>`;

const choices = ({ resource, scopes }: ConsentView['asked'][number]): Html => html`
  <fieldset>
    <legend>
      ${resource ? html`At <span class="where">${resource}</span> it asks to` : 'It also asks to'}
    </legend>
    ${scopes.map(
      ({ field, says }) => html`
        <label class="choice"><input type="checkbox" name="scope" value="${field}" checked /> ${says}</label>
      `,
    )}
  </fieldset>
`;

/** No button has the focus: whoever presses Enter once too often has allowed nothing. */
export const consentPage = (view: ConsentView): Page => ({
  title: `Allow ${view.client}?`,
  formsTo: view.formsTo,
  body: html`
    <p><strong>${view.client}</strong> asks for access. You are signed in as <strong>${view.who}</strong>.</p>
    ${view.home && html`<p>Its own page is <a href="${view.home}">${view.home}</a></p>`}
    <form method="post">
      <input type="hidden" name="token" value="${view.token}" />
      ${
        view.fixed.length > 0 &&
        html`<p>It will</p>
          ${list(view.fixed)}`
      }
      ${view.asked.map(choices)}
      ${
        view.before.length > 0 &&
        html`<p>You have allowed it before to</p>
          ${list(view.before)}`
      }
      <button name="action" value="allow">Allow</button>
      <button name="action" value="deny" class="quiet">Deny</button>
    </form>
    <p><a href="?as=other">Sign in as somebody else</a></p>
  `,
});
