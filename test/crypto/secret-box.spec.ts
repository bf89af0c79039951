import { describe, expect, it } from '@jest/globals';
import { Settings } from '../../src/config/settings.js';
import { DerivedKeys, deriveKey } from '../../src/crypto/derived-keys.js';
import { SecretBox } from '../../src/crypto/secret-box.js';

const OLD = 'the-secret-of-last-year-which-was-replaced';
const NEW = 'the-secret-of-this-year-which-replaced-it';
const settings = (APP_SECRET: string, more: Record<string, string> = {}) =>
  Settings.from({ NODE_ENV: 'test', APP_SECRET, ...more });
const box = (purpose = 'totp', set = settings(OLD)) => new SecretBox(set, purpose);

describe('the secret box', () => {
  it('gives back what it sealed, to its owner', () => {
    for (const secret of ['JBSWY3DPEHPK3PXP', '', 'ümläut ☃', 'x'.repeat(100_000)])
      expect(box().open(box().seal(secret, 'alice'), 'alice')).toBe(secret);
  });

  it('shows nothing of a secret, not even that two are the same', () => {
    const [one, other] = [box().seal('the same', 'alice'), box().seal('the same', 'alice')];
    expect(one).not.toBe(other);
    expect(Buffer.from(one.split('.')[1]!, 'base64url').toString()).not.toContain('the same');
  });

  it('what one purpose or one owner sealed, no other opens', () => {
    const sealed = box('totp').seal('secret', 'alice');
    expect(() => box('hmac').open(sealed, 'alice')).toThrow('an APP_SECRET that is no longer set');
    expect(() => box('totp').open(sealed, 'bob')).toThrow(/authenticate/);
    // Also when the name of the key is put right.
    const keyId = box('hmac').seal('', 'alice').split('.')[0]!;
    expect(() => box('hmac').open(`${keyId}.${sealed.split('.')[1]}`, 'alice')).toThrow(/authenticate/);
  });

  it('opens nothing of which any byte was altered, or taken away', () => {
    const [keyId, text] = box().seal('secret', 'alice').split('.') as [string, string];
    const bytes = Buffer.from(text, 'base64url');
    for (let i = 0; i < bytes.length; i++) {
      const altered = Buffer.from(bytes);
      altered[i]! ^= 1;
      expect(() => box().open(`${keyId}.${altered.toString('base64url')}`, 'alice')).toThrow();
      expect(() => box().open(`${keyId}.${bytes.subarray(0, i).toString('base64url')}`, 'alice')).toThrow();
    }
  });

  it('opens with the secret before, and seals with the new one', () => {
    const before = box().seal('secret', 'alice');
    const both = settings(NEW, { APP_SECRET_PREVIOUS: OLD });
    expect(box('totp', both).open(before, 'alice')).toBe('secret');
    const after = box('totp', both).seal('secret', 'alice');
    expect(box('totp', settings(NEW)).open(after, 'alice')).toBe('secret');
    expect(() => box().open(after, 'alice')).toThrow();
  });

  it('says in a sentence that a secret is no longer set', () => {
    const sealed = box().seal('secret', 'alice');
    for (const text of [sealed, '', 'no such thing'])
      expect(() => box('totp', settings(NEW)).open(text, 'alice')).toThrow(
        'A stored secret was encrypted with an APP_SECRET that is no longer set.',
      );
  });
});

describe('the keys of a purpose', () => {
  const bytes = (secret: string, purpose: string) => deriveKey(secret, purpose).export().toString('hex');

  it('are 256 bits, the same every time, and another for every purpose and secret', () => {
    expect(bytes(OLD, 'a')).toMatch(/^[0-9a-f]{64}$/);
    expect(bytes(OLD, 'a')).toBe(bytes(OLD, 'a'));
    expect(new Set([bytes(OLD, 'a'), bytes(OLD, 'b'), bytes(NEW, 'a')]).size).toBe(3);
  });

  it('are named by what says nothing of them', () => {
    const { current, find } = keyringOf(OLD);
    expect(current.id).toMatch(/^[0-9a-f]{8}$/);
    expect(bytes(OLD, 'a')).not.toContain(current.id);
    expect(find(current.id)).toBe(current.key);
    expect(find('00000000')).toBeUndefined();
  });

  function keyringOf(secret: string) {
    const ring = new DerivedKeys(settings(secret), 'a');
    return { current: ring.current, find: (id: string) => ring.find(id) };
  }
});
