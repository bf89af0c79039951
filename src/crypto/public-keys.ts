import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';

/** Longer RSA keys only cost time. */
const [MIN_RSA_BITS, MAX_RSA_BITS] = [2048, 8192];
const CURVES = ['prime256v1', 'secp384r1', 'secp521r1'];

/**
 * Whether signatures of a key prove something (FIPS 186-5): RSA from 2048 bits with an odd exponent from 65537,
 * P-256, P-384, P-521, or Ed25519 with a point of full order. With the RSA exponent 1 anyone can sign.
 */
export function isStrongPublicKey(key: KeyObject): boolean {
  const { modulusLength = 0, publicExponent = 0n, namedCurve = '' } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case 'ed25519':
      return !isSmallOrderPoint(key.export({ format: 'der', type: 'spki' }).subarray(-32));
    case 'ec':
      return CURVES.includes(namedCurve);
    case 'rsa':
    case 'rsa-pss':
      if (modulusLength < MIN_RSA_BITS || modulusLength > MAX_RSA_BITS) return false;
      return publicExponent > 2n ** 16n && publicExponent < 2n ** 256n && publicExponent % 2n === 1n;
    default:
      return false;
  }
}

/**
 * Imports a public key, or the public part of a private one.
 * @returns undefined if it is not a key, or if it is not strong
 */
export function importStrongJwk(jwk: unknown): KeyObject | undefined {
  try {
    const key = createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' });
    return isStrongPublicKey(key) ? key : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The points of small order on Ed25519's curve, in hexadecimal, without the sign bit, in every encoding. Anyone can create
 * signatures that verify with such a public key, and OpenSSL accepts these keys.
 */
const SMALL_ORDER_POINTS = [
  '00'.padEnd(64, '0'),
  '01'.padEnd(64, '0'),
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  ...['ec', 'ed', 'ee'].map((firstByte) => `${firstByte.padEnd(62, 'f')}7f`),
];

/** @param publicKey the 32 bytes of an Ed25519 public key (RFC 8032 section 5.1.5) */
export function isSmallOrderPoint(publicKey: Uint8Array): boolean {
  const point = Buffer.from(publicKey);
  point[31]! &= 0x7f;
  return SMALL_ORDER_POINTS.includes(point.toString('hex'));
}
