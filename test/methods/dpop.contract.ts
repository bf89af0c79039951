import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { DpopClient, dpopProof } from '../../src/methods/dpop/dpop.client.js';
import { DpopGuard } from '../../src/methods/dpop/dpop.guard.js';
import { parseProofKey } from '../../src/methods/dpop/dpop.keys.js';
import {
  FORGED_JWT,
  issueAccessToken,
  type IssuedToken,
  type TokenOptions,
} from '../support/access-tokens.js';
import { jwtOf, wide } from '../support/wide-jwt.js';
import type { Contract, Running } from '../method.contract.js';

export const newKey = (): KeyObject => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;

export const thumbprintOf = (key: KeyObject, alg = 'ES256'): string =>
  parseProofKey(alg, createPublicKey(key).export({ format: 'jwk' }))!.thumbprint;

/** Issues an access token that is bound to a key. */
export async function boundToken(
  running: Pick<Running, 'app' | 'db'>,
  userId: string,
  options: TokenOptions = {},
  key = newKey(),
): Promise<IssuedToken & { readonly key: KeyObject }> {
  const cnf = { jkt: thumbprintOf(key) };
  return { ...(await issueAccessToken(running, userId, { cnf, ...options })), key };
}

const withProof = (authorization: string, proof: string) => ({ Authorization: authorization, DPoP: proof });
const proof = dpopProof(newKey(), {
  method: 'GET',
  url: 'http://localhost/demo/dpop',
  accessToken: FORGED_JWT,
});

export const contract: Contract = {
  name: 'dpop',
  challenge:
    'DPoP realm="auth-atlas", algs="ES256 Ed25519 EdDSA PS256", resource_metadata="http://localhost:…/.well-known/oauth-protected-resource"',
  code: 'invalid_token',
  guard: DpopGuard,
  endsWithSignIns: true,
  bound: true,
  once: 'invalid_dpop_proof',
  header: 'Authorization',
  empty: withProof('DPoP', ''),
  malformed: [
    withProof('DPoP', proof),
    withProof('DPoP a.b.c', proof),
    withProof('DPoP short', proof),
    withProof(`DPoP ${FORGED_JWT}=`, proof),
    withProof(`DPoP ${FORGED_JWT} ${FORGED_JWT}`, proof),
    withProof(`DPoP ${FORGED_JWT}, DPoP ${FORGED_JWT}`, proof),
  ],
  costly: {
    headers: withProof(
      `DPoP ${jwtOf({ alg: 'ES256' }, { iss: 'http://localhost:0/oidc', ...wide(500) })}`,
      jwtOf(JSON.parse(Buffer.from(proof.split('.')[0]!, 'base64url').toString()) as object, {
        jti: 'x',
        htm: 'GET',
        htu: 'http://localhost/demo/dpop',
        iat: 0,
        ...wide(550),
      }),
    ),
  },
  unknown: withProof(`DPoP ${FORGED_JWT}`, proof),
  issue: async (running, userId) => {
    const { token, key, revoke, expire } = await boundToken(running, userId);
    return { sign: new DpopClient(key, token).sign, revoke, expire };
  },
};
