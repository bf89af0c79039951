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
