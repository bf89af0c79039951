/** The names that the rules in `policy.ts` are about. Edit this file and that one together. */
export const ROLES = ['admin', 'editor', 'viewer', 'auditor'] as const;

export const SCOPES = ['documents:read', 'documents:write', 'documents:delete', 'audit:read'] as const;

/** The actions of an authorization detail of type `document` (RFC 9396 section 2). */
export const DOCUMENT_ACTIONS = ['read', 'update', 'delete'] as const;

export const isScope = (text: string): boolean => (SCOPES as readonly string[]).includes(text);

declare module './authentication/principal.js' {
  interface Roles extends Record<(typeof ROLES)[number], true> {}
  interface Scopes extends Record<(typeof SCOPES)[number], true> {}
  interface AuthorizationDetailTypes {
    document: (typeof DOCUMENT_ACTIONS)[number];
  }
}
