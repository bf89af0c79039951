import { permittedFieldsOf } from '@casl/ability/extra';
import type { AppAbility } from '../authorization/app-ability.js';
import type { Document, DocumentShare } from './document.entity.js';

/** The fields of a document that the caller may read. The rules are checked against this row. */
export function documentView(document: Document, ability: AppAbility): object {
  const fields = Object.keys(document) as (keyof Document)[];
  const permitted = new Set(
    permittedFieldsOf(ability, 'read', document, { fieldsFrom: (rule) => rule.fields ?? fields }),
  );
  const view: Partial<Record<keyof Document, unknown>> = {};
  for (const field of fields) if (permitted.has(field)) view[field] = document[field];
  if (view.shares)
    view.shares = document.shares.toSorted(byUser).map(({ userId, level }) => ({ userId, level }));
  return view;
}

/** A database returns them in any order, and the same document must have the same response. */
const byUser = (a: DocumentShare, b: DocumentShare) => (a.userId < b.userId ? -1 : 1);
