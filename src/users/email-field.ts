import { z } from 'zod';
import { field } from '../pages/forms.js';
import type { Html } from '../pages/html.js';
import { invalidField } from './account-factors.service.js';
import { normalizeEmailAddress } from './email-address.js';

/** The field of a form. It accepts any text, so that {@link addressOf} can reject it at the field. */
export const EmailInput = z.string().max(1_024);

export interface EmailField {
  readonly id?: string;
  readonly label?: string;
  readonly value?: string | undefined;
  readonly autofocus?: boolean;
  readonly error?: string | undefined;
  readonly hasFormError?: boolean;
}

export const emailField = ({ label = 'E-mail address', ...options }: EmailField): Html =>
  field({
    name: 'email',
    type: 'email',
    inputmode: 'email',
    autocomplete: 'email',
    label,
    ...options,
  });

/**
 * The canonical form of a typed address.
 * @throws UnprocessableEntityException `invalid_body`
 */
export function addressOf(email: string): string {
  const address = normalizeEmailAddress(email);
  if (address === undefined) throw invalidField('email', 'This is not an e-mail address.');
  return address;
}
