import { field } from '../../pages/forms.js';
import type { Html } from '../../pages/html.js';
import { MIN_LENGTH_ONLY_FACTOR, MIN_LENGTH_WITH_SECOND_FACTOR } from '../../passwords/password-policy.js';

export interface NewPasswordField {
  readonly name: string;
  readonly label: string;
  /** Whether the account exists, and so may have a second factor. */
  readonly mayHaveSecondFactor: boolean;
  readonly autofocus?: boolean;
  readonly error?: string | undefined;
  readonly hasFormError?: boolean;
}

export const newPasswordField = ({ mayHaveSecondFactor, ...options }: NewPasswordField): Html =>
  field({
    type: 'password',
    autocomplete: 'new-password',
    // Above the limit of the policy, whose message is better than a shortened password.
    maxLength: 1_024,
    hint: `At least ${MIN_LENGTH_ONLY_FACTOR} characters${
      mayHaveSecondFactor ? `, or ${MIN_LENGTH_WITH_SECOND_FACTOR} with a second factor` : ''
    }. Several words are easy to remember.`,
    ...options,
  });
