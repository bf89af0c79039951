import { field, formError, submitButton } from './forms.js';
import { html, type Html } from './html.js';

/** A second factor that completes a sign-in. */
export interface SecondStepFactor {
  readonly name: string;
  readonly label: string;
  /** `credential`: the script of {@link scripts} proves the factor, with {@link options}. Otherwise the person types it. */
  readonly responseField: string;
  readonly options?: object;
}

export interface SecondStepView {
  readonly factors: readonly SecondStepFactor[];
  /** Hidden fields of every form: the ticket, and the token against cross-site requests. */
  readonly hidden: Html;
  /** The name and value of the submit button, if the form has other actions. */
  readonly submit?: { readonly name: string; readonly value: string };
  readonly error?: string | undefined;
}

/** One form for each factor of the account. */
export const secondStepForms = ({ factors, hidden, submit, error }: SecondStepView): Html => html`
  ${formError(error)}
  ${factors.map(
    ({ name, label, responseField, options }, i) => html`
      <form method="post" ${options && html`data-webauthn="get" data-options="${JSON.stringify(options)}"`}>
        ${hidden}
        <input type="hidden" name="factor" value="${name}" />
        ${
          responseField === 'credential'
            ? html`<input type="hidden" name="credential" />`
            : field({
                id: `code-${name}`,
                name: responseField,
                label,
                autocomplete: 'one-time-code',
                maxLength: 64,
                autofocus: i === 0,
                hasFormError: error !== undefined,
              })
        }
        ${submitButton({
          label: responseField === 'credential' ? `Use ${label.toLowerCase()}` : 'Continue',
          quiet: i > 0,
          ...submit,
        })}
      </form>
    `,
  )}
`;
