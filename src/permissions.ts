import { z } from 'zod';

/** The names that the rules in `policy.ts` are about. Edit this file and that one together. */
export const ROLES = ['admin', 'editor', 'viewer', 'auditor'] as const;

export const SCOPES = ['documents:read', 'documents:write', 'documents:delete', 'audit:read'] as const;

/** A pattern for scopes separated by spaces. */
const SCOPE_LIST = `^(?:${SCOPES.join('|')})(?: (?:${SCOPES.join('|')}))*$`;

/** The distinct scopes of a scope parameter (RFC 6749 section 3.3). Two spaces give an empty scope, which is invalid. */
export const parseScope = (scope: string): string[] => [...new Set(scope.split(' '))];

/** The `scope` of a sign-in, which limits the issued credential. */
export const ScopeParameter = z
  .string()
  .max(256)
  .meta({ pattern: SCOPE_LIST, example: 'documents:read' })
  .transform(parseScope)
  .pipe(z.array(z.enum(SCOPES)));

export const isScope = (text: string): boolean => (SCOPES as readonly string[]).includes(text);

/** The types of authorization details (RFC 9396 section 2) that this API accepts. */
export const AUTHORIZATION_DETAIL_TYPES = ['document'] as const;

/** The actions of an authorization detail of type `document`. */
export const DOCUMENT_ACTIONS = ['read', 'update', 'delete'] as const;

/** An authorization detail, in an authorization request and in an access token: access to one document. */
export const authorizationDetailSchema = z.strictObject({
  type: z.enum(AUTHORIZATION_DETAIL_TYPES),
  identifier: z.string().regex(/^[\w-]{1,64}$/),
  actions: z.array(z.enum(DOCUMENT_ACTIONS)).min(1).max(DOCUMENT_ACTIONS.length),
});

/** The scope that permits the same action on every document. A detail never permits more than its scope would. */
export const SCOPE_OF_ACTION = {
  read: 'documents:read',
  update: 'documents:write',
  delete: 'documents:delete',
} as const satisfies Record<(typeof DOCUMENT_ACTIONS)[number], (typeof SCOPES)[number]>;

declare module './authentication/principal.js' {
  interface Roles extends Record<(typeof ROLES)[number], true> {}
  interface Scopes extends Record<(typeof SCOPES)[number], true> {}
  interface AuthorizationDetailTypes extends Record<
    (typeof AUTHORIZATION_DETAIL_TYPES)[number],
    (typeof DOCUMENT_ACTIONS)[number]
  > {}
}
