import { HttpException, Injectable } from '@nestjs/common';
import { decodeJwt } from 'jose';
import type {
  ClaimsParameter,
  Client,
  Configuration,
  InteractionResults,
  KoaContextWithOIDC,
} from 'oidc-provider';
import { BadCredential } from '../../authentication/challenge.js';
import { AuditPort } from '../../authentication/ports.js';
import { FACTORS, SECOND_FACTOR } from '../../authentication/factors.js';
import { isScope } from '../../permissions.js';
import { PasswordsService } from '../../passwords/passwords.service.js';
import type { User } from '../../users/user.entity.js';
import type { ClientsService } from '../clients/clients.service.js';
import { IGNORED_SCOPES, SUPPORTED_OPENID_SCOPES } from '../clients/client-metadata.js';
import { errors } from '../provider/oidc-provider.js';

/** The `acr` of a sign-in by password. */
export const PASSWORD_ACR = FACTORS.password.acr.alone;

export type SignInResult = Pick<Required<InteractionResults>, 'login'>;

/** A failed sign-in, with the message for the person. */
export interface SignInFailure {
  readonly status: number;
  readonly message: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** Signs people in on the pages of the authorization server. Machine accounts cannot sign in there. */
@Injectable()
export class SignInService {
  constructor(
    private readonly passwords: PasswordsService,
    private readonly audit: AuditPort,
  ) {}

  async signIn(username: string, password: string, ip: string): Promise<SignInResult | SignInFailure> {
    const at = new Date();
    try {
      const user = await this.verify(username, password, ip);
      await this.audit.record({
        event: 'authn_login_success',
        actor: user,
        method: 'password',
        details: { as: 'oauth' },
      });
      // The epoch was read with the password hash. "Log out everywhere" during this request ends the new session, too.
      const { id: accountId, epoch } = user;
      const ts = Math.floor(at.getTime() / 1000);
      return {
        login: { accountId, epoch, ts, remember: false, amr: [...FACTORS.password.amr], acr: PASSWORD_ACR },
      };
    } catch (error) {
      if (error instanceof BadCredential) return this.rejected(error);
      if (error instanceof HttpException && 'headers' in error) return rateLimited(error);
      throw error;
    }
  }

  private async verify(username: string, password: string, ip: string): Promise<User> {
    const user = await this.passwords.verify(username, password, ip);
    if (user.kind === 'user') return user;
    throw new BadCredential('invalid_credentials', `the account ${user.id} is a machine`).ofAccount(user);
  }

  private async rejected(error: BadCredential): Promise<SignInFailure> {
    const { code, reason, account } = error;
    // The typed username is not recorded: people sometimes type their password into that field.
    await this.audit.recordRejection(error, {
      event: 'authn_login_fail',
      actor: account,
      method: 'password',
      details: { code, reason, as: 'oauth' },
    });
    // Not 401, which requires a WWW-Authenticate challenge (RFC 9110 section 15.5.2). Forms have no such scheme.
    return { status: 422, message: 'The username or the password is incorrect.', headers: {} };
  }
}

const rateLimited = (error: HttpException & { headers?: unknown }): SignInFailure => ({
  status: error.getStatus(),
  message:
    error.getStatus() === 429
      ? 'Too many failed attempts. Wait a while, then try again.'
      : 'Too many sign-ins are in progress. Try again.',
  headers: error.headers as Record<string, string>,
});

const SUPPORTED_ACRS: readonly unknown[] = [PASSWORD_ACR];
/** The API may require a second factor (RFC 9470), which these pages do not offer. */
const KNOWN_ACRS: readonly unknown[] = [PASSWORD_ACR, SECOND_FACTOR];

/**
 * Rejects an `acr` that no sign-in here provides (RFC 9470 section 5). Without this check, oidc-provider would repeat
 * the password prompt without end. `acr_values` is a preference (OpenID Connect Core 1.0 section 3.1.2.1), so unknown
 * values are ignored.
 *
 * @throws UnmetAuthenticationRequirements
 */
function checkRequestedAcr({ oidc }: KoaContextWithOIDC, acrValues: string | undefined): void {
  const preferred = acrValues?.split(' ').filter((acr) => KNOWN_ACRS.includes(acr)) ?? [];
  const { essential, value, values } = requestedClaims(oidc).id_token?.acr ?? {};
  const required: unknown[] = essential ? [value ?? values ?? []].flat() : [];
  for (const requested of [preferred, required])
    if (requested.length && !requested.some((acr) => SUPPORTED_ACRS.includes(acr)))
      throw new errors.UnmetAuthenticationRequirements('the requested acr is not supported');
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
const requestedClaims = ({ params }: KoaContextWithOIDC['oidc']): ClaimsParameter =>
  typeof params?.['claims'] === 'string' ? (JSON.parse(params['claims']) as ClaimsParameter) : {};

/** Whether the request names another subject than this account, in its `id_token_hint` or `claims`. */
export function namesAnotherSubject({ oidc }: KoaContextWithOIDC, accountId: string): boolean {
  const { id_token, userinfo } = requestedClaims(oidc);
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
  checks.add(new Check('tenant', otherTenant, 'login_required', isOfOtherTenant(clients)));
  return prompts;
}

export const signInPrompt = (library: InteractionPolicy, clients: ClientsService) =>
  ({
    acrValues: [PASSWORD_ACR],
    interactions: { url: (_ctx, { uid }) => `/interaction/${uid}`, policy: promptPolicy(library, clients) },
    /** Checks at every endpoint that starts a request, before a person sees a page. Absent parameters are checked, too. */
    extraParams: { acr_values: checkRequestedAcr, scope: checkRequestedScope },
  }) satisfies Configuration;
