import { errors, type Client, type KoaContextWithOIDC, type ResourceServer } from 'oidc-provider';
import type { Settings } from '../config/settings.js';
import { isScope } from '../permissions.js';

/** Seconds. Short, though a token dies with its row anyway: other resource servers may not read the database. */
const LIFETIME = 300;

/** The second resource of the demo, whose tokens are opaque: it asks about each by introspection. */
export const archiveOf = ({ publicUrl }: Settings) => `${publicUrl}/archive`;

/** For which resources there are tokens (RFC 8707), and of which form. */
export function resourceIndicators(settings: Settings) {
  const { publicUrl } = settings;
  const asksApi = (scope: unknown) => typeof scope === 'string' && scope.split(' ').some(isScope);
  return {
    enabled: true,
    /** Whoever asks for the API's scopes and names no resource means the API. */
    defaultResource: async (ctx: KoaContextWithOIDC, _client: Client, oneOf?: readonly string[]) => {
      if (oneOf) return [...oneOf];
      const { grant_type, scope, authorization_details } = ctx.oidc.params ?? {};
      const means =
        grant_type === 'client_credentials' || asksApi(scope) || authorization_details !== undefined;
      return means ? publicUrl : (undefined as never);
    },
    /** A client that asked for the API's scopes gets a token for it; asking for `openid` alone gives one for userinfo. */
    useGrantedResource: async (
      ctx: KoaContextWithOIDC,
      source: { readonly scope?: string | undefined; readonly rar?: unknown },
    ) => source.rar !== undefined || asksApi(ctx.oidc.params?.scope ?? source.scope),
    getResourceServerInfo: async (
      _ctx: KoaContextWithOIDC,
      resource: string,
      client: Client,
    ): Promise<ResourceServer> => {
      const scope = (client['resource_scopes'] as string | undefined) ?? '';
      const common = { scope, audience: resource, accessTokenTTL: LIFETIME };
      const opaque = { ...common, accessTokenFormat: 'opaque' } as const;
      if (resource === archiveOf(settings)) return opaque;
      if (resource !== publicUrl) throw new errors.InvalidTarget();
      if (client['access_token_format'] === 'opaque') return opaque;
      return { ...common, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'ES256' } } };
    },
  };
}
