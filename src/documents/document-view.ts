import { permittedFieldsOf } from '@casl/ability/extra';
import type { AppAbility } from '../authorization/app-ability.js';
import type { Document } from './document.entity.js';

/** A document as this caller may see it: the fields that the rules let it read of this very row, and no others. */
export function documentView(document: Document, ability: AppAbility): object {
  const all = Object.keys(document) as (keyof Document)[];
  const permitted = new Set(
    permittedFieldsOf(ability, 'read', document, { fieldsFrom: (rule) => rule.fields ?? all }),
  );
  const view: Partial<Record<keyof Document, unknown>> = {};
  for (const field of all) if (permitted.has(field)) view[field] = document[field];
  if (view.shares) view.shares = document.shares.map(({ userId, level }) => ({ userId, level }));
  return view;
}
