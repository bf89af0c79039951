import {
  errors,
  type AccessToken,
  type Client,
  type Provider,
  type TokenEndpointGrantContext,
} from 'oidc-provider';
import {
  checkDpopReplay,
  checkDpopRequired,
  checkMtlsCert,
  validateDpop,
} from 'oidc-provider/lib/helpers/grants.js';
import type { DataSource } from 'typeorm';
import { OauthClient } from '../clients/oauth-client.entity.js';

/**
 * Checks a client that requests tokens for other accounts without their interaction. It must authenticate, and its machine
 * account, if it has one, must be enabled.
 * @throws UnauthorizedClient
 */
export async function checkClient(
  { clientId: id, clientAuthMethod }: Client,
  dataSource: DataSource,
): Promise<void> {
  if (clientAuthMethod === 'none')
    throw new errors.UnauthorizedClient('only a confidential client may use this grant');
  const client = await dataSource.manager.findOne(OauthClient, {
    where: { id },
    relations: { account: true },
  });
  if (client?.account?.disabledAt)
    throw new errors.UnauthorizedClient('the account of this client is disabled');
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
