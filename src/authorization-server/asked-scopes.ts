import type { AuthorizationDetail, Grant, Interaction } from 'oidc-provider';

/** The engine's own scopes, which belong to no resource. */
const NO_RESOURCE = '';

/** A scope that is asked for: of a resource, or of the engine itself. */
export interface AskedScope {
  readonly resource: string;
  readonly scope: string;
}

/** How a scope is named in the form. */
export const fieldOf = ({ resource, scope }: AskedScope): string => `${resource} ${scope}`;

/** What the consent page has to ask: what is new, or all of it where the application wants it to be asked again. */
export function askedOf({ prompt, params }: Interaction, grant: Grant | undefined): AskedScope[] {
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
  const { scope: requested } = params;
  const wanted = typeof requested === 'string' ? requested.split(' ') : [];
  const known = [...heldBy(grant), ...heldBy(grant?.rejected)].filter(({ scope }) => wanted.includes(scope));
  return [...new Map([...known, ...missing].map((each) => [fieldOf(each), each])).values()];
}

/** What a grant holds, or what was left out of it. */
export function heldBy(grant: Pick<Grant, 'openid' | 'resources'> | undefined): AskedScope[] {
  const of = (resource: string, scopes = '') =>
    scopes.split(' ').flatMap((scope) => (scope ? [{ resource, scope }] : []));
  return [
    ...of(NO_RESOURCE, grant?.openid?.scope),
    ...Object.entries(grant?.resources ?? {}).flatMap(([resource, scopes]) => of(resource, scopes)),
  ];
}

/** Whether the page offers a checkbox for it. Without `openid` there would be no sign-in. */
export const isOptional = ({ scope }: AskedScope): boolean => scope !== 'openid';

/** What is asked for besides scopes, all or none of it: single claims, and the details of a rich request (RFC 9396). */
export function beyondScopesOf({ prompt }: Interaction) {
  const { missingOIDCClaims: claims = [], rar = [] } = prompt.details as {
    missingOIDCClaims?: readonly string[];
    rar?: readonly AuthorizationDetail[];
  };
  return { claims, rar };
}

/**
 * Writes a decision into a grant: what is allowed, and what was left out, so that it is not asked for each time.
 * @param ticked the fields that the form came with
 */
export function decide(
  grant: Grant,
  interaction: Interaction,
  asked: readonly AskedScope[],
  ticked: readonly string[],
) {
  const allows = (each: AskedScope) => !isOptional(each) || ticked.includes(fieldOf(each));
  const before = heldBy(grant.rejected).filter(
    (held) => !asked.some((each) => fieldOf(each) === fieldOf(held)),
  );
  delete grant.rejected;
  for (const { resource, scope } of [...before, ...asked.filter((each) => !allows(each))])
    if (resource === NO_RESOURCE) grant.rejectOIDCScope(scope);
    else grant.rejectResourceScope(resource, scope);
  for (const { resource, scope } of asked.filter(allows))
    if (resource === NO_RESOURCE) grant.addOIDCScope(scope);
    else grant.addResourceScope(resource, scope);
  const { claims, rar } = beyondScopesOf(interaction);
  if (claims.length) grant.addOIDCClaims([...claims]);
  const known = new Set((grant.rar ?? []).map((detail) => JSON.stringify(detail)));
  for (const detail of rar) if (!known.has(JSON.stringify(detail))) grant.addRar(detail);
}
