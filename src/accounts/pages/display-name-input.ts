import { z } from 'zod';
import { field } from '../../pages/forms.js';
import type { Html } from '../../pages/html.js';
import { invalidField } from '../../users/account-factors.service.js';
import { DISPLAY_NAME_RULE, normalizeDisplayName } from '../../users/display-name.js';

/** The field of a form. It accepts any text, so that {@link displayNameOf} can reject it at the field. */
export const DisplayNameInput = z.string().max(1_024);

export const displayNameField = (
  value: string | undefined,
  error: string | undefined,
  autofocus = false,
): Html =>
  field({
    name: 'name',
    label: 'Name (optional)',
    autocomplete: 'name',
    optional: true,
    maxLength: 100,
    value,
    error,
    autofocus,
    hint: 'Other people see it.',
  });

/**
 * The canonical form of a typed name.
 * @returns null for an empty one
 * @throws UnprocessableEntityException `invalid_body`
 */
export function displayNameOf(text: string): string | null {
  if (!text.trim()) return null;
  const name = normalizeDisplayName(text);
  if (name === undefined) throw invalidField('name', `Must have ${DISPLAY_NAME_RULE}.`);
  return name;
}
