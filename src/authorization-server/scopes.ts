import type { SCOPES } from '../permissions.js';

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

const CLAIMS: Readonly<Record<string, string>> = {
  preferred_username: 'see your username',
  tenant: 'see your organisation',
};

/** A claim that is asked for by its own name, in plain words. */
export const claimInWords = (claim: string): string =>
  Object.hasOwn(CLAIMS, claim) ? CLAIMS[claim]! : `see your ${claim}`;

/** One entry of a rich authorization request (RFC 9396) in plain words. */
export function detailInWords(detail: {
  readonly type?: unknown;
  readonly actions?: unknown;
  readonly identifier?: unknown;
}) {
  const actions = Array.isArray(detail.actions) && detail.actions.length ? detail.actions.join(', ') : 'use';
  return `${actions} the ${String(detail.type)} ${typeof detail.identifier === 'string' ? detail.identifier : ''}`.trim();
}
