import { html, type Html } from './html.js';

/** The id of the element of {@link formError}. */
const FORM_ERROR_ID = 'error';

export interface Field {
  /** By default the name. A page with the same name in two forms needs two ids. */
  readonly id?: string;
  readonly name: string;
  readonly label: string;
  /** The purpose of the field (HTML section 4.10.18.7.1), such as `current-password`. Password managers read it. */
  readonly autocomplete: string;
  readonly type?: 'text' | 'password' | 'email';
  readonly inputmode?: 'numeric' | 'email';
  readonly value?: string | undefined;
  readonly maxLength?: number;
  readonly optional?: boolean;
  readonly autofocus?: boolean;
  /** A short explanation below the input. */
  readonly hint?: string;
  /** An error of this field only. */
  readonly error?: string | undefined;
  /** Whether the form's error concerns this field, too. */
  readonly hasFormError?: boolean;
}

/** A labelled input. Screen readers read its error and its hint with it. */
export function field(options: Field): Html {
  const {
    name,
    id = name,
    label,
    autocomplete,
    type = 'text',
    value,
    error,
    hint,
    maxLength = 256,
  } = options;
  const descriptions = [
    ...(error ? [`${id}-error`] : []),
    ...(options.hasFormError ? [FORM_ERROR_ID] : []),
    ...(hint ? [`${id}-hint`] : []),
  ];
  return html`
    <label for="${id}">${label}</label>
    ${error && html`<p class="error" id="${id}-error">${error}</p>`}
    <input
      id="${id}"
      name="${name}"
      type="${type}"
      value="${value}"
      autocomplete="${autocomplete}"
      maxlength="${maxLength}"
      autocapitalize="none"
      spellcheck="false"
      ${options.inputmode && html`inputmode="${options.inputmode}"`}
      ${!options.optional && html`required`}
      ${options.autofocus && html`autofocus`}
      ${(error !== undefined || options.hasFormError) && html`aria-invalid="true"`}
      ${descriptions.length > 0 && html`aria-describedby="${descriptions.join(' ')}"`}
    />
    ${hint && html`<p class="hint" id="${id}-hint">${hint}</p>`}
  `;
}

/** An error of the whole form, above its fields. Screen readers read it at once. */
export const formError = (text: string | undefined): Html | undefined =>
  text === undefined ? undefined : html`<p class="error" id="${FORM_ERROR_ID}" role="alert">${text}</p>`;

/** The session's CSRF token, for a form that is sent with the session cookie. */
export const csrfField = (token: string): Html =>
  html`<input type="hidden" name="csrf_token" value="${token}" />`;

export interface Submit {
  readonly label: string;
  readonly name?: string;
  readonly value?: string;
  /** Less prominent than the main button. */
  readonly quiet?: boolean;
}

export const submitButton = ({ label, name, value, quiet }: Submit): Html =>
  html`<button ${name && html`name="${name}" value="${value}"`} ${quiet && html`class="quiet"`}>
    ${label}
  </button>`;
