import type { Client, KoaContextWithOIDC, Provider, ResourceServer } from 'oidc-provider';
import type { Settings } from '../../config/settings.js';
import { isScope } from '../../permissions.js';
import { IGNORED_SCOPES, SUPPORTED_OPENID_SCOPES } from '../clients/client-metadata.js';
import type { ClientsService } from '../clients/clients.service.js';
import { errors, providerContext } from '../provider/oidc-provider.js';
import { tokenExchangeOf } from '../provider/provider-request.js';

/** Short, because other resource servers cannot see that a JWT was revoked. */
const ACCESS_TOKEN_SECONDS = 300;

const OPENID_SCOPES = [...SUPPORTED_OPENID_SCOPES, ...IGNORED_SCOPES];

/** The second resource of the demo. Its tokens are opaque, so it introspects them. */
export const archiveUrl = ({ publicUrl }: Pick<Settings, 'publicUrl'>) => `${publicUrl}/archive`;

/** The resources that tokens can be issued for (RFC 8707), and the format of their tokens. */
export function resourceIndicators({ publicUrl }: Settings) {
  const includesApiScope = (scope: unknown) => typeof scope === 'string' && scope.split(' ').some(isScope);
  const includesOtherScope = (scope: unknown) =>
    typeof scope === 'string' && !scope.split(' ').every((name) => OPENID_SCOPES.includes(name));
  return {
    enabled: true,
    /** Without `resource`, a request is for the API if it has other scopes than those of OpenID Connect. */
    defaultResource: async (ctx: KoaContextWithOIDC, _client: Client, oneOf?: readonly string[]) => {
      if (oneOf) return [...oneOf];
      const { grant_type, scope, authorization_details } = ctx.oidc.params ?? {};
      const isForApi =
        grant_type === 'client_credentials' ||
        includesOtherScope(scope) ||
        authorization_details !== undefined;
      return isForApi ? publicUrl : (undefined as never);
    },
    /** Whether the token is for the API. With `openid` alone, it is for the userinfo endpoint only. */
    useGrantedResource: async (
      ctx: KoaContextWithOIDC,
      source: { readonly scope?: string | undefined; readonly rar?: unknown },
    ) => source.rar !== undefined || includesApiScope(ctx.oidc.params?.scope ?? source.scope),
    getResourceServerInfo: async (
      _ctx: KoaContextWithOIDC,
      resource: string,
      client: Client,
    ): Promise<ResourceServer> => {
      const scope = (client['resource_scopes'] as string | undefined) ?? '';
      const common = { scope, audience: resource, accessTokenTTL: ACCESS_TOKEN_SECONDS };
      const opaque = { ...common, accessTokenFormat: 'opaque' } as const;
      if (resource === archiveUrl({ publicUrl })) return opaque;
      if (resource !== publicUrl) throw new errors.InvalidTarget();
      if (client['access_token_format'] === 'opaque') return opaque;
      return { ...common, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'ES256' } } };
    },
  };
}

type UserAccessToken = InstanceType<Provider['AccessToken']>;

/**
 * Adds the granted OpenID scopes to the access tokens for the API, so that one token works at the userinfo endpoint, too:
 * both are on this origin. oidc-provider issues a token for one of them only, and has no hook for its scope.
 */
export function addOpenidScopes({ AccessToken }: Provider, { publicUrl }: Settings): void {
  const { prototype } = AccessToken as unknown as {
    prototype: { save: (this: UserAccessToken) => Promise<string> };
  };
  const { save } = prototype;
  prototype.save = async function saveWithOpenidScopes() {
    const ctx = providerContext()!;
    const source = grantSourceOf(ctx);
    if (source && this.aud === publicUrl) {
      const { params, requestParamScopes, entities } = ctx.oidc;
      const requested = params?.scope ? requestParamScopes : new Set(source.scope?.split(' '));
      const openid = entities.Grant!.getOIDCScopeFiltered(requested);
      this.scope = [openid, this.scope].filter(Boolean).join(' ');
      if (source.claims) this.claims = source.claims;
    }
    return save.call(this);
  };
}

/** The code or refresh token that a client redeems; undefined in a grant without one, such as token exchange. */
function grantSourceOf({ oidc }: KoaContextWithOIDC) {
  const { AuthorizationCode, DeviceCode, BackchannelAuthenticationRequest, RefreshToken } = oidc.entities;
  return AuthorizationCode ?? DeviceCode ?? BackchannelAuthenticationRequest ?? RefreshToken;
}

/**
 * Additional claims of access tokens: time and method of the sign-in (RFC 9068 section 2.2.1). In a token exchange, those of the
 * subject token, and the actor (RFC 8693 section 4.1).
 */
export function extraTokenClaims(ctx: KoaContextWithOIDC): Record<string, unknown> | undefined {
  const exchange = tokenExchangeOf(ctx);
  if (exchange) return { ...exchange.subject.content.extra, act: exchange.act };
  const source = grantSourceOf(ctx);
  if (!source) return undefined;
  const { authTime: auth_time, acr, amr } = source;
  return { ...(auth_time && { auth_time }), ...(acr && { acr }), ...(amr && { amr }) };
}

interface Token {
  readonly kind: string;
  readonly clientId?: string | undefined;
  readonly accountId?: string | undefined;
  readonly aud?: string | string[] | undefined;
}

/**
 * A client may introspect its own tokens, and a resource server the tokens for its audiences (RFC 7662 section 4) whose accounts
 * belong to its tenant.
 */
export const introspectionPolicy =
  (clients: ClientsService) =>
  async (_ctx: KoaContextWithOIDC, client: Client, token: Token): Promise<boolean> => {
    if (token.clientId === client.clientId) return true;
    const audiences = (client['audiences'] ?? []) as readonly unknown[];
    if (token.kind === 'RefreshToken' || token.aud === undefined || !audiences.includes(token.aud))
      return false;
    const tenantId = await clients.tenantOf(client.clientId);
    return tenantId !== null && tenantId === (await clients.tenantOfOwner(token));
  };

/**
 * A client may revoke only its own tokens (RFC 7009 section 2.1).
 * @throws UnauthorizedClient
 */
export function revocationPolicy(_ctx: KoaContextWithOIDC, client: Client, token: Token): boolean {
  if (token.clientId === client.clientId) return true;
  throw new errors.UnauthorizedClient('the token was issued to another client');
}
