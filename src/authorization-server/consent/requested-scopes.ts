import type { AuthorizationDetail, Grant, Interaction } from 'oidc-provider';
import type { SCOPES } from '../../permissions.js';

/** The resource of the OpenID scopes, which belong to the authorization server. */
const NO_RESOURCE = '';

export interface ResourceScope {
  /** A resource indicator (RFC 8707), or empty for an OpenID scope. */
  readonly resource: string;
  readonly scope: string;
}
/** The value of a scope's checkbox. */
export const fieldOf = ({ resource, scope }: ResourceScope): string => `${resource} ${scope}`;

/** The scopes on the consent page: the new ones, or with `prompt=consent` all requested ones. */
export function requestedScopes({ prompt, params }: Interaction, grant: Grant | undefined): ResourceScope[] {
  const { missingOIDCScope = [], missingResourceScopes = {} } = prompt.details as {
    missingOIDCScope?: string[];
    missingResourceScopes?: Record<string, string[]>;
  };
  const missing = [
    ...missingOIDCScope.map((scope) => ({ resource: NO_RESOURCE, scope })),
    ...Object.entries(missingResourceScopes).flatMap(([resource, scopes]) =>
      scopes.map((scope) => ({ resource, scope })),
    ),
  ];
  if (!prompt.reasons.includes('consent_prompt')) return missing;
  const requested = typeof params.scope === 'string' ? params.scope.split(' ') : [];
  const decided = [...grantedScopes(grant), ...grantedScopes(grant?.rejected)].filter(({ scope }) =>
    requested.includes(scope),
  );
  return [...new Map([...decided, ...missing].map((each) => [fieldOf(each), each])).values()];
}

/** The scopes of a grant, or of its `rejected` part. */
export function grantedScopes(grant: Pick<Grant, 'openid' | 'resources'> | undefined): ResourceScope[] {
  const split = (resource: string, scopes = '') =>
    scopes.split(' ').flatMap((scope) => (scope ? [{ resource, scope }] : []));
  return [
    ...split(NO_RESOURCE, grant?.openid?.scope),
    ...Object.entries(grant?.resources ?? {}).flatMap(([resource, scopes]) => split(resource, scopes)),
  ];
}

/** Whether the page offers a checkbox. `openid` is required for every sign-in. */
export const isOptional = ({ scope }: ResourceScope): boolean => scope !== 'openid';

/** Requested claims and authorization details (RFC 9396). A person allows all of them or none. */
export function requestedClaimsAndDetails({ prompt }: Interaction) {
  const { missingOIDCClaims: claims = [], rar = [] } = prompt.details as {
    missingOIDCClaims?: readonly string[];
    rar?: readonly AuthorizationDetail[];
  };
  return { claims, rar };
}

/**
 * Writes a decision into a grant. Unchecked scopes are stored as rejected, so that they are not requested each time.
 * @param checked the values of the checked checkboxes
 */
export function applyDecision(
  grant: Grant,
  interaction: Interaction,
  requested: readonly ResourceScope[],
  checked: readonly string[],
) {
  const isAllowed = (each: ResourceScope) => !isOptional(each) || checked.includes(fieldOf(each));
  const requestedFields = requested.map(fieldOf);
  const stillRejected = grantedScopes(grant.rejected).filter(
    (each) => !requestedFields.includes(fieldOf(each)),
  );
  delete grant.rejected;
  for (const { resource, scope } of [...stillRejected, ...requested.filter((each) => !isAllowed(each))])
    if (resource === NO_RESOURCE) grant.rejectOIDCScope(scope);
    else grant.rejectResourceScope(resource, scope);
  for (const { resource, scope } of requested.filter(isAllowed))
    if (resource === NO_RESOURCE) grant.addOIDCScope(scope);
    else grant.addResourceScope(resource, scope);
  const { claims, rar } = requestedClaimsAndDetails(interaction);
  if (claims.length) grant.addOIDCClaims([...claims]);
  const granted = new Set((grant.rar ?? []).map((detail) => JSON.stringify(detail)));
  for (const detail of rar) if (!granted.has(JSON.stringify(detail))) grant.addRar(detail);
}

/** The scopes on the consent page, after "It will be able to" or "it asks to". */
const SCOPE_DESCRIPTIONS: Readonly<
  Record<(typeof SCOPES)[number] | 'openid' | 'profile' | 'offline_access', string>
> = {
  openid: 'recognize you when you sign in',
  profile: 'see your name, your username and your organization',
  offline_access: 'keep its access when you are away, until you revoke it',
  'documents:read': 'read the documents that you can read',
  'documents:write': 'create documents, and change the documents that you can change',
  'documents:delete': 'delete the documents that you can delete',
  'audit:read': 'read the audit log, if you can read it',
};

/** @returns the scope itself if it has no description */
export const describeScope = (scope: string): string =>
  Object.hasOwn(SCOPE_DESCRIPTIONS, scope)
    ? SCOPE_DESCRIPTIONS[scope as keyof typeof SCOPE_DESCRIPTIONS]
    : scope;

const CLAIM_DESCRIPTIONS: Readonly<Record<string, string>> = {
  preferred_username: 'see your username',
  tenant: 'see your organization',
};

export const describeClaim = (claim: string): string =>
  Object.hasOwn(CLAIM_DESCRIPTIONS, claim) ? CLAIM_DESCRIPTIONS[claim]! : `see your ${claim}`;

/** Describes an authorization detail (RFC 9396): `read, update the document 42`. */
export function describeDetail(detail: {
  readonly type?: unknown;
  readonly actions?: unknown;
  readonly identifier?: unknown;
}) {
  const actions = Array.isArray(detail.actions) && detail.actions.length ? detail.actions.join(', ') : 'use';
  return `${actions} the ${String(detail.type)} ${typeof detail.identifier === 'string' ? detail.identifier : ''}`.trim();
}
