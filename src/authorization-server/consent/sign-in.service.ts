import { HttpException, Injectable } from '@nestjs/common';
import {
  errors,
  interactionPolicy,
  type Configuration,
  type InteractionResults,
  type KoaContextWithOIDC,
} from 'oidc-provider';
import { BadCredential } from '../../authentication/challenge.js';
import { AuditPort } from '../../authentication/ports.js';
import { SECOND_FACTOR } from '../../authentication/factors.js';
import { PasswordsService } from '../../passwords/passwords.service.js';
import type { User } from '../../users/user.entity.js';
import type { ClientsService } from '../clients/clients.service.js';

/** The `acr` of a sign-in by password. */
export const PASSWORD_ACR = 'pwd';

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
      return { login: { accountId, epoch, ts, remember: false, amr: ['pwd'], acr: PASSWORD_ACR } };
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
 * @returns false: no prompt is needed
 * @throws UnmetAuthenticationRequirements
 */
function checkRequestedAcr({ oidc }: KoaContextWithOIDC): false {
  const { acr_values } = oidc.params ?? {};
  const preferred =
    typeof acr_values === 'string' ? acr_values.split(' ').filter((acr) => KNOWN_ACRS.includes(acr)) : [];
  const { essential, value, values } = oidc.claims.id_token?.acr ?? {};
  const required: unknown[] = essential ? [value ?? values ?? []].flat() : [];
  for (const requested of [preferred, required])
    if (requested.length && !requested.some((acr) => SUPPORTED_ACRS.includes(acr)))
      throw new errors.UnmetAuthenticationRequirements('the requested acr is not supported');
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

function promptPolicy(clients: ClientsService) {
  const { Check, base } = interactionPolicy;
  const prompts = base();
  const { checks } = prompts.get('login')!;
  checks.add(new Check('acr', 'an acr was requested', checkRequestedAcr), 0);
  const otherTenant = 'the account belongs to another tenant than the client';
  checks.add(new Check('tenant', otherTenant, 'login_required', isOfOtherTenant(clients)));
  return prompts;
}

export const signInPrompt = (clients: ClientsService) =>
  ({
    acrValues: [PASSWORD_ACR],
    interactions: { url: (_ctx, { uid }) => `/interaction/${uid}`, policy: promptPolicy(clients) },
  }) satisfies Configuration;
