import { cose, decodeCredentialPublicKey } from '@simplewebauthn/server/helpers';
import { importStrongJwk } from '../../crypto/public-keys.js';
import { EDDSA, ES256, InvalidPasskeyResponse } from './passkey.js';

const { COSEKEYS } = cose;

/**
 * The algorithm of a COSE_Key with a strong key. Without attestation, the library does not look at the key: small RSA keys and points
 * outside their curve would be stored.
 * @throws InvalidPasskeyResponse
 */
export function algorithmOf(publicKey: Parameters<typeof decodeCredentialPublicKey>[0]): number {
  const key = decodeCredentialPublicKey(publicKey) as unknown as ReadonlyMap<number, unknown>;
  const algorithm = key.get(COSEKEYS.alg) as number;
  if (!importStrongJwk(jwkOf(key, algorithm)))
    throw new InvalidPasskeyResponse('the public key is weak or malformed');
  return algorithm;
}

/** The curve follows from the algorithm (section 5.8.5). */
function jwkOf(key: ReadonlyMap<number, unknown>, algorithm: number): object {
  const text = (label: number) => {
    const value = key.get(label);
    return value instanceof Uint8Array ? Buffer.from(value).toString('base64url') : undefined;
  };
  switch (algorithm) {
    case ES256:
      return { kty: 'EC', crv: 'P-256', x: text(COSEKEYS.x), y: text(COSEKEYS.y) };
    case EDDSA:
      return { kty: 'OKP', crv: 'Ed25519', x: text(COSEKEYS.x) };
    default:
      return { kty: 'RSA', n: text(COSEKEYS.n), e: text(COSEKEYS.e) };
  }
}
