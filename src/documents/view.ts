import { permittedFieldsOf } from '@casl/ability/extra';
import type { AppAbility } from '../access/index.js';
import type { Document } from './document.entity.js';

/** A document as this caller may see it: the fields that the rules let it read of this very row, and no others. */
export function viewOf(document: Document, ability: AppAbility): object {
  const whole = { ...document, shares: document.shares.map(({ userId, level }) => ({ userId, level })) };
  const fields = permittedFieldsOf(ability, 'read', document, {
    fieldsFrom: (rule) => rule.fields ?? Object.keys(whole),
  });
  return Object.fromEntries(Object.entries(whole).filter(([field]) => fields.includes(field)));
}
