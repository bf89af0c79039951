import { permittedFieldsOf } from '@casl/ability/extra';
import { z } from 'zod';
import type { AppAbility } from '../authorization/app-ability.js';
import {
  CLASSIFICATIONS,
  SHARE_LEVELS,
  STATUSES,
  type Document,
  type DocumentShare,
} from './document.entity.js';

/** The response that shows a document. The rules hide single fields, so most may be absent. */
export const DocumentView = z
  .object({
    id: z.string(),
    tenantId: z.string(),
    ownerId: z.string(),
    title: z.string(),
    body: z.string().optional(),
    notes: z.string().optional(),
    status: z.enum(STATUSES),
    classification: z.enum(CLASSIFICATIONS),
    version: z.int().min(1),
    createdAt: z.date(),
    updatedAt: z.date(),
    shares: z.array(z.object({ userId: z.string(), level: z.enum(SHARE_LEVELS) })).optional(),
  })
  .meta({ id: 'Document' });

/** The response to a write. A caller who may write but not read sees none of the fields. */
export const WrittenDocumentView = DocumentView.partial().meta({ id: 'WrittenDocument' });

export const DocumentPage = z
  .object({ items: z.array(DocumentView), nextCursor: z.string().nullable() })
  .meta({ id: 'DocumentPage' });

/** The fields of a document that the caller may read. The rules are checked against this row. */
export function documentView(document: Document, ability: AppAbility): object {
  const fields = Object.keys(document) as (keyof Document)[];
  const permitted = permittedFieldsOf(ability, 'read', document, {
    fieldsFrom: (rule) => rule.fields ?? fields,
  });
  const view: Partial<Record<keyof Document, unknown>> = {};
  for (const field of fields) if (permitted.includes(field)) view[field] = document[field];
  if (view.shares)
    view.shares = document.shares.toSorted(byUser).map(({ userId, level }) => ({ userId, level }));
  return view;
}

/** A database returns them in any order, and the same document must have the same response. */
const byUser = (a: DocumentShare, b: DocumentShare) => (a.userId < b.userId ? -1 : 1);
