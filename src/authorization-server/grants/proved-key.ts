import type { AccessToken, Provider, TokenEndpointGrantContext } from 'oidc-provider';
import {
  checkDpopReplay,
  checkDpopRequired,
  checkMtlsCert,
  validateDpop,
} from 'oidc-provider/lib/helpers/grants.js';

type Context<Parameters extends object> = TokenEndpointGrantContext<Parameters>;

/** What a client has proved to hold beside its request to the token endpoint. */
export interface ProvedKey {
  /** The thumbprint of the key of a DPoP proof (RFC 9449). */
  readonly jkt: string | undefined;
  /**
   * Binds a token to it, or to the certificate (RFC 8705) that the client has to bind its tokens to. The proof is used up by it.
   * @returns whether it is bound now
   */
  readonly bind: (token: AccessToken) => Promise<boolean>;
}

/** @throws InvalidDpopProof, InvalidGrant where what the client has to prove is missing or wrong */
export async function provedKeyOf<Parameters extends object>(
  provider: Provider,
  ctx: Context<Parameters>,
): Promise<ProvedKey> {
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
