import { z } from 'zod';
import { field, formError, submitButton } from './forms.js';
import { html, type Html } from './html.js';

/** A factor that a page can prove. */
export interface FactorForm {
  readonly name: string;
  readonly label: string;
  /** The name of the field. A script fills in `credential`, with {@link options}. */
  readonly responseField: string;
  /** The options of `navigator.credentials.get`, as JSON. */
  readonly options?: object;
  /** The path of the script. */
  readonly script?: string | undefined;
  /** Whether a code must be sent to the person first. */
  readonly sendsCode?: boolean;
}

export interface FactorFormsView {
  readonly factors: readonly FactorForm[];
  /** Hidden fields of every form: a ticket, or a token against cross-site requests. */
  readonly hidden: Html;
  /** The name and value of the submit button, if the form has other actions. */
  readonly submit?: { readonly name: string; readonly value: string };
  /** Whether another form is the main one. Its username field then offers passkeys, too. */
  readonly quiet?: boolean;
  readonly error?: string | undefined;
}

/** A WebAuthn response, which a script has written as JSON. */
export const CredentialField = z
  .string()
  .max(16_384)
  .transform((json, context) => {
    try {
      return z.record(z.string(), z.unknown()).parse(JSON.parse(json));
    } catch {
      context.addIssue('must be a JSON object');
      return z.NEVER;
    }
  });

/** The fields of a form that proves a factor. */
export const FactorFields = z.object({
  factor: z.string().max(40),
  code: z.string().max(64).optional(),
  password: z.string().max(1_024).optional(),
  credential: CredentialField.optional(),
});

/** The message of a form whose proof was rejected. */
export const REJECTED_FACTOR = 'This is not correct, or it was used before.';

/** The scripts of a page with these forms. */
export const scriptsOf = (factors: readonly FactorForm[]): string[] =>
  factors.flatMap(({ script }) => (script === undefined ? [] : [script]));

/** One form for each factor of the account. */
export const factorForms = ({ factors, hidden, submit, quiet = false, error }: FactorFormsView): Html => html`
  ${formError(error)}
  ${factors.map(
    ({ name, label, responseField, options, sendsCode }, i) => html`
      ${
        sendsCode &&
        html`<form method="post">
          ${hidden}
          <input type="hidden" name="factor" value="${name}" />
          ${submitButton({ name: 'action', value: 'send', label: 'Send a code', quiet: true })}
        </form>`
      }
      <form
        method="post"
        ${options && html`data-webauthn="get" data-options="${JSON.stringify(options)}"`}
        ${quiet && html`data-conditional`}
      >
        ${hidden}
        <input type="hidden" name="factor" value="${name}" />
        ${
          responseField === 'credential'
            ? html`<input type="hidden" name="credential" />
                ${submit && html`<input type="hidden" name="${submit.name}" value="${submit.value}" />`}`
            : field({
                id: `factor-${name}`,
                name: responseField,
                label,
                ...(responseField === 'password'
                  ? { type: 'password' as const, autocomplete: 'current-password' }
                  : { autocomplete: 'one-time-code' }),
                maxLength: 1_024,
                autofocus: i === 0,
                hasFormError: error !== undefined,
              })
        }
        ${submitButton({
          label: responseField === 'credential' ? `Use ${label}` : 'Continue',
          quiet: quiet || i > 0,
          // A script sends the form without a button.
          ...(responseField !== 'credential' && submit),
        })}
      </form>
    `,
  )}
`;
