import { createHash, generateKeyPairSync, randomBytes, type JsonWebKey } from 'node:crypto';

const rsa = (bits: number, e: string): JsonWebKey => {
  const n = randomBytes(bits / 8);
  n[0]! |= 0x80;
  n[n.length - 1]! |= 1;
  return { kty: 'RSA', n: n.toString('base64url'), e };
};
const ed25519 = (hex: string): JsonWebKey => ({
  kty: 'OKP',
  crv: 'Ed25519',
  x: Buffer.from(hex, 'hex').toString('base64url'),
});
const { x, y } = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' });

/** Public keys with which others can sign, or that are no keys at all. */
export const WEAK_KEYS: Readonly<Record<string, JsonWebKey>> = {
  'RSA of 1024 bits': rsa(1024, 'AQAB'),
  'RSA of 2040 bits': rsa(2040, 'AQAB'),
  'RSA with the exponent 1': rsa(2048, 'AQ'),
  'RSA with the exponent 3': rsa(2048, 'Aw'),
  'RSA with an even exponent': rsa(2048, 'AQAC'),
  'RSA with an exponent of 2048 bits': rsa(2048, `${'B'.repeat(340)}AQ`),
  'Ed25519, the neutral element': ed25519('01'.padEnd(64, '0')),
  'Ed25519 of order 2': ed25519(`ec${'f'.repeat(60)}7f`),
  'Ed25519 of order 4': ed25519('0'.repeat(64)),
  'Ed25519 of order 4 with the other sign': ed25519(`${'0'.repeat(62)}80`),
  'Ed25519 of order 8': ed25519('26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05'),
  'Ed25519 of order 8 with the other sign': ed25519(
    '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85',
  ),
  'a point that is not on P-256': { kty: 'EC', crv: 'P-256', x: x!, y: x! },
  secp256k1: generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey.export({ format: 'jwk' }),
  X25519: generateKeyPairSync('x25519').publicKey.export({ format: 'jwk' }),
  'no numbers': { kty: 'EC', crv: 'P-256', y: y! },
};

/** A JWT that verifies with a weak key, made without a private key. The key is neutral on Ed25519, or has the exponent 1. */
export function forgeJwt(jwk: JsonWebKey, header: object, claims: object): string {
  const alg = jwk.kty === 'RSA' ? 'RS256' : 'EdDSA';
  const text = [{ alg, ...header }, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
  return `${text}.${forgeSignature(jwk, text)}`;
}

/** The signature of {@link forgeJwt}. With the exponent 1 the padded hash is its own signature (RFC 8017 section 9.2). */
export function forgeSignature(jwk: JsonWebKey, text: string): string {
  if (jwk.kty !== 'RSA') return Buffer.from('01'.padEnd(128, '0'), 'hex').toString('base64url');
  const sha256 = Buffer.from('3031300d060960864801650304020105000420', 'hex');
  const hash = Buffer.concat([Buffer.of(0), sha256, createHash('sha256').update(text).digest()]);
  const padding = Buffer.alloc(Buffer.from(jwk.n!, 'base64url').length - hash.length - 2, 0xff);
  return Buffer.concat([Buffer.of(0, 1), padding, hash]).toString('base64url');
}

/** Node 24 rejects the signatures of keys of small order itself. */
export const isBeforeNode24 = Number(process.versions.node.split('.')[0]) < 24;
