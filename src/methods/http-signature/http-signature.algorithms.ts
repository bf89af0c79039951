/** The signature algorithms (RFC 9421 section 3.3) and their keys. The key determines the algorithm, never the message. */
import {
  constants,
  createHmac,
  sign as signSync,
  verify as verifyCallback,
  type JsonWebKey,
  type KeyObject,
  type SigningOptions,
} from 'node:crypto';
import { promisify } from 'node:util';
import { constantTimeEqual } from '../../crypto/constant-time.js';
import { importStrongJwk } from '../../crypto/public-keys.js';

const verifyAsync = promisify(verifyCallback);

interface AlgorithmDefinition {
  readonly hash: string | undefined;
  readonly options: SigningOptions;
  /** The length of a signature in bytes. Absent for RSA, whose signatures are as long as the modulus. */
  readonly length?: number;
}

/** ECDSA signatures are r and s, concatenated (RFC 9421 section 3.3.4), not DER. */
const FIXED_LENGTH: SigningOptions = { dsaEncoding: 'ieee-p1363' };

const DEFINITIONS = {
  ed25519: { hash: undefined, options: {}, length: 64 },
  'ecdsa-p256-sha256': { hash: 'sha256', options: FIXED_LENGTH, length: 64 },
  'ecdsa-p384-sha384': { hash: 'sha384', options: FIXED_LENGTH, length: 96 },
  'rsa-pss-sha512': {
    hash: 'sha512',
    options: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 64 },
  },
  'rsa-v1_5-sha256': { hash: 'sha256', options: { padding: constants.RSA_PKCS1_PADDING } },
  'hmac-sha256': { hash: 'sha256', options: {}, length: 32 },
} satisfies Record<string, AlgorithmDefinition>;

export type SignatureAlgorithm = keyof typeof DEFINITIONS;

/** @param data the signature base, which is ASCII */
export function sign(algorithm: SignatureAlgorithm, key: KeyObject, data: string): Buffer {
  const { hash, options }: AlgorithmDefinition = DEFINITIONS[algorithm];
  if (algorithm === 'hmac-sha256') return createHmac('sha256', key).update(data).digest();
  return signSync(hash, Buffer.from(data), { key, ...options });
}

/** Runs on libuv's thread pool: with some keys it takes a millisecond. */
export async function verifySignature(
  algorithm: SignatureAlgorithm,
  key: KeyObject,
  data: string,
  signature: Buffer,
): Promise<boolean> {
  const { hash, options, length }: AlgorithmDefinition = DEFINITIONS[algorithm];
  if (length !== undefined && signature.length !== length) return false;
  if (algorithm === 'hmac-sha256') return constantTimeEqual(sign(algorithm, key, data), signature);
  return verifyAsync(hash, Buffer.from(data), { key, ...options }, signature);
}

/** Verification with longer keys takes too long. */
const MAX_RSA_BITS = 4096;

/**
 * The algorithm of a key. RSA keys are for PSS, so no key has the algorithm `rsa-v1_5-sha256`.
 * @returns undefined if no algorithm fits
 */
export function algorithmOf(key: KeyObject): SignatureAlgorithm | undefined {
  const { namedCurve, modulusLength = 0 } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case 'ed25519':
      return 'ed25519';
    case 'ec':
      if (namedCurve === 'prime256v1') return 'ecdsa-p256-sha256';
      return namedCurve === 'secp384r1' ? 'ecdsa-p384-sha384' : undefined;
    case 'rsa':
      return modulusLength <= MAX_RSA_BITS ? 'rsa-pss-sha512' : undefined;
    default:
      return undefined;
  }
}

/**
 * Imports a public key that may sign requests, from a JWK (RFC 7517).
 * @returns undefined if it is not a key, or if it is too weak
 */
export function importPublicJwk(
  jwk: JsonWebKey,
): { key: KeyObject; algorithm: SignatureAlgorithm } | undefined {
  const key = importStrongJwk(jwk);
  const algorithm = key && algorithmOf(key);
  return algorithm && { key, algorithm };
}
