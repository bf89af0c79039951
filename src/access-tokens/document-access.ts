import { z } from 'zod';
import type { AuthorizationDetail } from '../authentication/principal.js';
import { DOCUMENT_ACTIONS } from '../permissions.js';

/** An authorization detail of type `document` (RFC 9396), as it is asked for and as tokens carry it. */
export const documentAccess = z.strictObject({
  type: z.literal('document'),
  identifier: z.string().regex(/^[\w-]{1,64}$/),
  actions: z.array(z.enum(DOCUMENT_ACTIONS)).min(1).max(DOCUMENT_ACTIONS.length),
});

/** The scope that opens each action: details reach no further than scopes would. */
export const SCOPE_OF_ACTION: Readonly<Record<AuthorizationDetail['actions'][number], string>> = {
  read: 'documents:read',
  update: 'documents:write',
  delete: 'documents:delete',
};
