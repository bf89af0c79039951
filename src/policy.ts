import type { Policy } from './access/index.js';

export const policy: Policy = {
  everyone: () => {},
  roles: { admin: () => {}, editor: () => {}, viewer: () => {}, auditor: () => {} },
  scopes: { 'documents:read': [], 'documents:write': [], 'documents:delete': [], 'audit:read': [] },
};
