import { describe, expect, it } from '@jest/globals';
import { createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';
import { importStrongJwk, isStrongPublicKey } from '../../src/crypto/public-keys.js';
import { WEAK_KEYS, isBeforeNode24 } from '../support/weak-keys.js';

const STRONG = {
  'RSA of 2048 bits': generateKeyPairSync('rsa', { modulusLength: 2048 }),
  'RSA-PSS of 2048 bits': generateKeyPairSync('rsa-pss', { modulusLength: 2048 }),
  'P-256': generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  'P-384': generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  'P-521': generateKeyPairSync('ec', { namedCurve: 'P-521' }),
  Ed25519: generateKeyPairSync('ed25519'),
};

describe('a public key', () => {
  it.each(Object.entries(STRONG))('is strong: %s', (name, { publicKey, privateKey }) => {
    expect(isStrongPublicKey(publicKey)).toBe(true);
    if (name === 'RSA-PSS of 2048 bits') return;
    for (const key of [publicKey, privateKey]) {
      const imported = importStrongJwk(key.export({ format: 'jwk' }))!;
      const data = Buffer.from('data');
      const hash = name === 'Ed25519' ? null : 'sha256';
      expect(imported.type).toBe('public');
      expect(verify(hash, data, imported, sign(hash, data, privateKey))).toBe(true);
    }
  });

  it.each(Object.entries(WEAK_KEYS))('is weak: %s', (_, jwk) => {
    expect(importStrongJwk(jwk)).toBeUndefined();
  });

  it.each([undefined, null, '', 'key', 1, [], {}, { kty: 'oct', k: 'AAAA' }])('is not %j', (jwk) => {
    expect(importStrongJwk(jwk)).toBeUndefined();
  });

  it('of small order is weak: Node before version 24 verifies a signature that anyone can compute', () => {
    const key = createPublicKey({ key: WEAK_KEYS['Ed25519, the neutral element']!, format: 'jwk' });
    const signature = Buffer.alloc(64);
    signature[0] = 1;
    expect(verify(null, Buffer.from('any data'), key, signature)).toBe(isBeforeNode24);
    expect(isStrongPublicKey(key)).toBe(false);
  });
});
