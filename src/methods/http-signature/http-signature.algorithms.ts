/** The algorithms (RFC 9421, section 3.3) and the keys that they take. Which one is meant says the key, never the message. */
import {
  constants,
  createHmac,
  createPublicKey,
  sign as signWith,
  timingSafeEqual,
  verify as verifySync,
  type JsonWebKey,
  type KeyObject,
  type SigningOptions,
} from 'node:crypto';
import { promisify } from 'node:util';

const verifyWith = promisify(verifySync);

interface Scheme {
  readonly hash: string | undefined;
  readonly options: SigningOptions;
  /** How many bytes a signature has; where it is not said, as many as the key's modulus. */
  readonly length?: number;
}

/** ECDSA's two numbers one after the other: DER, in which one signature can be written in many ways, has another length. */
const RAW: SigningOptions = { dsaEncoding: 'ieee-p1363' };

const SCHEMES = {
  ed25519: { hash: undefined, options: {}, length: 64 },
  'ecdsa-p256-sha256': { hash: 'sha256', options: RAW, length: 64 },
  'ecdsa-p384-sha384': { hash: 'sha384', options: RAW, length: 96 },
  'rsa-pss-sha512': {
    hash: 'sha512',
    options: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 64 },
  },
  'rsa-v1_5-sha256': { hash: 'sha256', options: { padding: constants.RSA_PKCS1_PADDING } },
  'hmac-sha256': { hash: 'sha256', options: {}, length: 32 },
} satisfies Record<string, Scheme>;

export type SignatureAlgorithm = keyof typeof SCHEMES;

/** @param data the signature base, which is ASCII */
export function sign(algorithm: SignatureAlgorithm, key: KeyObject, data: string): Buffer {
  const { hash, options }: Scheme = SCHEMES[algorithm];
  if (algorithm === 'hmac-sha256') return createHmac('sha256', key).update(data).digest();
  return signWith(hash, Buffer.from(data), { key, ...options });
}

/** On a thread of libuv's: with some keys it takes a millisecond, which others need not wait for. */
export async function verifySignature(
  algorithm: SignatureAlgorithm,
  key: KeyObject,
  data: string,
  signature: Buffer,
): Promise<boolean> {
  const { hash, options, length }: Scheme = SCHEMES[algorithm];
  if (length !== undefined && signature.length !== length) return false;
  if (algorithm === 'hmac-sha256') return timingSafeEqual(sign(algorithm, key, data), signature);
  return verifyWith(hash, Buffer.from(data), { key, ...options }, signature);
}

/** The shortest modulus that is good enough, and the longest: what takes a key of any length takes any time. */
const [SHORTEST, LONGEST] = [2048, 4096];

/**
 * The one algorithm that a key is for; undefined where it is none of ours, or too weak. A key for `rsa-v1_5-sha256` does
 * not exist: RSA keys are for PSS.
 */
export function algorithmOf(key: KeyObject): SignatureAlgorithm | undefined {
  const { namedCurve, modulusLength = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case 'ed25519':
      return 'ed25519';
    case 'ec':
      if (namedCurve === 'prime256v1') return 'ecdsa-p256-sha256';
      return namedCurve === 'secp384r1' ? 'ecdsa-p384-sha384' : undefined;
    case 'rsa':
      // With the exponent 1 everybody can sign; other small ones leave no room for a mistake in the padding.
      return modulusLength >= SHORTEST && modulusLength <= LONGEST && publicExponent >= 65_537n
        ? 'rsa-pss-sha512'
        : undefined;
    default:
      return undefined;
  }
}

/**
 * The points of small order on Ed25519's curve, without the sign, as they may be written: for these everybody can make
 * signatures, and OpenSSL takes them.
 */
const SMALL_ORDER = [
  '00'.padEnd(64, '0'),
  '01'.padEnd(64, '0'),
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  ...['ec', 'ed', 'ee'].map((first) => `${first.padEnd(62, 'f')}7f`),
];

function isEverybodys(key: KeyObject): boolean {
  if (key.asymmetricKeyType !== 'ed25519') return false;
  const point = Buffer.from(key.export({ format: 'jwk' }).x!, 'base64url');
  point[31]! &= 0x7f;
  return SMALL_ORDER.includes(point.toString('hex'));
}

/** A public key that may sign requests, from a JWK (RFC 7517); undefined where it is no key, or none that is good enough. */
export function importPublicJwk(
  jwk: JsonWebKey,
): { key: KeyObject; algorithm: SignatureAlgorithm } | undefined {
  try {
    const key = createPublicKey({ key: jwk, format: 'jwk' });
    const algorithm = algorithmOf(key);
    return algorithm && !isEverybodys(key) ? { key, algorithm } : undefined;
  } catch {
    return undefined;
  }
}
