import type { AccessToken, Client, Provider, TokenEndpointGrantContext } from 'oidc-provider';
// @ts-expect-error -- it has no types
import instanceOf from 'oidc-provider/lib/helpers/weak_cache.js';
import type { DataSource } from 'typeorm';
import { OauthClient } from '../clients/oauth-client.entity.js';
import { errors, grantHelpers } from '../provider/oidc-provider.js';

/**
 * Checks a client that requests tokens for other accounts without their interaction. It must authenticate, and its machine
 * account, if it has one, must be enabled.
 * @returns its tenant: the client may obtain tokens for accounts of this tenant only, and for none if it is null
 * @throws UnauthorizedClient
 */
export async function checkClient(
  { clientId: id, clientAuthMethod }: Client,
  dataSource: DataSource,
): Promise<string | null> {
  if (clientAuthMethod === 'none')
    throw new errors.UnauthorizedClient('only a confidential client may use this grant');
  const client = await dataSource.manager.findOne(OauthClient, {
    where: { id },
    relations: { account: true },
  });
  if (client?.account?.disabledAt)
    throw new errors.UnauthorizedClient('the account of this client is disabled');
  return client?.tenantId ?? null;
}

/** The key that a client has proved to hold in its token request. */
export interface ProofOfPossession {
  /** The thumbprint of the DPoP key (RFC 9449). */
  readonly jkt: string | undefined;
  /**
   * Binds a token to the DPoP key, or to the client certificate (RFC 8705). The DPoP proof cannot be used again afterwards.
   * @returns whether the token is bound
   */
  readonly bind: (token: AccessToken) => Promise<boolean>;
}

/** @throws InvalidDpopProof, InvalidGrant if a required proof is missing or a proof is invalid */
export async function verifyProofOfPossession<Parameters extends object>(
  provider: Provider,
  ctx: TokenEndpointGrantContext<Parameters>,
): Promise<ProofOfPossession> {
  const { checkDpopReplay, checkDpopRequired, checkMtlsCert, validateDpop } = await grantHelpers();
  const proof = await validateDpop(provider, ctx);
  const certificate = checkMtlsCert(provider, ctx);
  checkDpopRequired(provider, ctx, proof);
  return {
    jkt: proof?.thumbprint,
    async bind(token) {
      if (proof) {
        await checkDpopReplay(provider, ctx, proof, ctx.oidc.client.clientId);
        token.setThumbprint('jkt', proof.thumbprint);
      } else if (certificate) token.setThumbprint('x5t', certificate);
      return Boolean(proof ?? certificate);
    },
  };
}

/** The parameters of a token request by which a client limits the token. */
const LIMITS = ['audience', 'authorization_details', 'resource', 'scope'];

type GrantHandler = (ctx: TokenEndpointGrantContext<Record<string, unknown>>) => Promise<void>;

interface RegisteredGrants {
  readonly grantTypeHandlers: ReadonlyMap<string, GrantHandler>;
  readonly grantTypeParams: ReadonlyMap<string, ReadonlySet<string>>;
  readonly grantTypeDupes: ReadonlyMap<string, ReadonlySet<string>>;
}

/**
 * Rejects limits that a grant type does not support. oidc-provider ignores them, and so would issue a token that may do more
 * than the client requested. Call this after all grant types are registered.
 */
export function rejectUnsupportedLimits(provider: Provider): void {
  const { grantTypeHandlers, grantTypeParams, grantTypeDupes } = (
    instanceOf as (provider: Provider) => RegisteredGrants
  )(provider);
  for (const [grantType, handle] of [...grantTypeHandlers]) {
    const supported = [...grantTypeParams.get(grantType)!];
    const unsupported = LIMITS.filter((limit) => !supported.includes(limit));
    const handleIfSupported: GrantHandler = async (ctx) => {
      const found = unsupported.find((limit) => ctx.oidc.params[limit] !== undefined);
      if (found) throw new errors.InvalidRequest(`${found} is not supported in this grant's token request`);
      await handle(ctx);
    };
    const repeatable = [...(grantTypeDupes.get(grantType) ?? [])];
    provider.registerGrantType(grantType, handleIfSupported, [...supported, ...unsupported], repeatable);
  }
}
