import { decodeJwt } from 'jose';
import type { ClaimsParameter, Client, Configuration, KoaContextWithOIDC } from 'oidc-provider';
import { ACRS, reachedAcrs } from '../../authentication/factors.js';
import { isScope } from '../../permissions.js';
import type { ClientsService } from '../clients/clients.service.js';
import { IGNORED_SCOPES, SUPPORTED_OPENID_SCOPES } from '../clients/client-metadata.js';
import { errors } from '../provider/oidc-provider.js';

/**
 * The context classes that a request accepts: the essential ones, or else the known ones of `acr_values`, which is a preference (OpenID
 * Connect Core 1.0 section 3.1.2.1). Empty: any.
 */
export function acceptedAcrs(params: Readonly<Record<string, unknown>>): readonly string[] {
  const { essential, value, values } = requestedClaims(params).id_token?.acr ?? {};
  const required = essential ? [value ?? values ?? []].flat().map(String) : [];
  if (required.length) return required;
  const preferred = typeof params['acr_values'] === 'string' ? params['acr_values'].split(' ') : [];
  return preferred.filter(isKnownAcr);
}

const isKnownAcr = (acr: string): boolean => (ACRS as readonly string[]).includes(acr);

/**
 * Rejects an essential `acr` that no sign-in here provides (RFC 9470 section 5), before the person sees a page.
 * @throws UnmetAuthenticationRequirements
 */
function checkRequestedAcr({ oidc }: KoaContextWithOIDC): void {
  const accepted = acceptedAcrs(oidc.params ?? {});
  if (accepted.length && !accepted.some(isKnownAcr))
    throw new errors.UnmetAuthenticationRequirements('the requested acr is not supported');
}

/**
 * Requests a sign-in of an accepted context class.
 * @throws UnmetAuthenticationRequirements after a sign-in that does not reach it: the account has no such factor
 */
function isWeakerThanRequested({ oidc }: KoaContextWithOIDC): boolean {
  const accepted = acceptedAcrs(oidc.params ?? {});
  const { amr } = (oidc.session ?? {}) as { amr?: string[] };
  if (!accepted.length || reachedAcrs(amr ?? []).some((acr) => accepted.includes(acr))) return false;
  if (oidc.result?.login)
    throw new errors.UnmetAuthenticationRequirements(
      'the account has no factor that reaches the requested acr',
    );
  return true;
}

/**
 * Rejects a request before the person sees a page, at every endpoint that starts one. Standard scopes of OpenID Connect
 * that this server does not support are ignored, as OpenID Connect Core 1.0 section 3.1.2.1 recommends.
 *
 * @throws InvalidScope for an unknown scope, one that the client may not request, or a request without a supported scope
 */
function checkRequestedScope({ oidc }: KoaContextWithOIDC, scope = '', client?: Client): void {
  const names = scope.split(' ').filter((name) => name && !IGNORED_SCOPES.includes(name));
  const resource_scopes = client?.['resource_scopes'];
  const allowed = typeof resource_scopes === 'string' ? resource_scopes.split(' ') : [];
  for (const name of names.filter((each) => !SUPPORTED_OPENID_SCOPES.includes(each))) {
    if (!isScope(name)) throw new errors.InvalidScope('the scope is unknown', name);
    if (!allowed.includes(name)) throw new errors.InvalidScope('this client may not request the scope', name);
  }
  if (!names.length && oidc.params?.['authorization_details'] === undefined)
    throw new errors.InvalidScope('the request has no scope that this server supports', scope);
}

/** The `claims` parameter, whose syntax oidc-provider has checked. */
const requestedClaims = ({ claims }: Readonly<Record<string, unknown>>): ClaimsParameter =>
  typeof claims === 'string' ? (JSON.parse(claims) as ClaimsParameter) : {};

/** Whether the request names another subject than this account, in its `id_token_hint` or `claims`. */
export function namesAnotherSubject({ oidc }: KoaContextWithOIDC, accountId: string): boolean {
  const { id_token, userinfo } = requestedClaims(oidc.params ?? {});
  // oidc-provider has verified the hint, but forgets it when the person returns from the pages.
  const idToken = oidc.params?.['id_token_hint'];
  const hint = typeof idToken === 'string' ? decodeJwt(idToken).sub : undefined;
  const named = [id_token?.sub, userinfo?.sub].map((sub) => sub?.value ?? sub?.values);
  return [hint, ...named].some((sub) => sub !== undefined && ![sub].flat().includes(accountId));
}

/**
 * OpenID Connect Core 1.0 sections 3.1.2.1 and 5.5.1 forbid a response for another subject. Another sign-in would only
 * repeat the password prompt, so the client receives an error, unless it requests one by `prompt=login`.
 *
 * @returns false: no prompt is needed
 * @throws LoginRequired
 */
function checkRequestedSubject(ctx: KoaContextWithOIDC): false {
  const { session } = ctx.oidc;
  if (session?.accountId && !ctx.oidc.promptPending('login') && namesAnotherSubject(ctx, session.accountId))
    throw new errors.LoginRequired('another person is signed in than the request names');
  return false;
}

/**
 * Requests a sign-in with an account of the client's tenant.
 * @throws AccessDenied after a sign-in with an account of another tenant
 */
const isOfOtherTenant =
  (clients: ClientsService) =>
  async ({ oidc }: KoaContextWithOIDC): Promise<boolean> => {
    const { accountId } = oidc.session ?? {};
    if (accountId === undefined) return false;
    const tenantId = await clients.tenantOfOwner({ accountId });
    if (await clients.accepts(oidc.client!.clientId, tenantId)) return false;
    if (oidc.result?.login)
      throw new errors.AccessDenied('the account belongs to another tenant than the client');
    return true;
  };

type InteractionPolicy = typeof import('oidc-provider').interactionPolicy;

function promptPolicy({ Check, base }: InteractionPolicy, clients: ClientsService) {
  const prompts = base();
  const { checks } = prompts.get('login')!;
  checks.remove('id_token_hint');
  checks.remove('claims_id_token_sub_value');
  checks.add(new Check('subject', 'a subject was requested', checkRequestedSubject), 0);
  const otherTenant = 'the account belongs to another tenant than the client';
  const weaker = 'the session does not reach the requested acr';
  checks.add(new Check('acr', weaker, 'login_required', isWeakerThanRequested), 0);
  checks.add(new Check('tenant', otherTenant, 'login_required', isOfOtherTenant(clients)));
  return prompts;
}

export const signInPrompt = (library: InteractionPolicy, clients: ClientsService) =>
  ({
    acrValues: [...ACRS],
    interactions: { url: (_ctx, { uid }) => `/interaction/${uid}`, policy: promptPolicy(library, clients) },
    /** Checks at every endpoint that starts a request, before a person sees a page. Absent parameters are checked, too. */
    extraParams: { acr_values: checkRequestedAcr, scope: checkRequestedScope },
  }) satisfies Configuration;
