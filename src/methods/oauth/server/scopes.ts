import type { SCOPES } from '../../../auth/index.js';

/** What each scope lets an application do, as it stands on the consent page, after "it asks to". */
const WORDS: Readonly<Record<(typeof SCOPES)[number] | 'openid' | 'profile' | 'offline_access', string>> = {
  openid: 'know that it is you',
  profile: 'see your username and your organisation',
  offline_access: 'keep its access when you are away, until you take it back',
  'documents:read': 'read the documents that you may read',
  'documents:write': 'create documents, and change those that you may change',
  'documents:delete': 'delete the documents that you may delete',
  'audit:read': 'read the audit log, if you may',
};

/** A scope in plain words; one that has none stands for itself. */
export const inWords = (scope: string): string =>
  Object.hasOwn(WORDS, scope) ? WORDS[scope as keyof typeof WORDS] : scope;
