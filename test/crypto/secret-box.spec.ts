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
  it('opens what it sealed for the same owner', () => {
    for (const secret of ['JBSWY3DPEHPK3PXP', '', 'ümläut ☃', 'x'.repeat(100_000)])
      expect(box().open(box().seal(secret, 'alice'), 'alice')).toBe(secret);
  });

  it('seals equal secrets to different texts', () => {
    const [one, other] = [box().seal('the same', 'alice'), box().seal('the same', 'alice')];
    expect(one).not.toBe(other);
    expect(Buffer.from(one.split('.')[1]!, 'base64url').toString()).not.toContain('the same');
  });

  it('opens nothing that was sealed for another purpose or owner', () => {
    const sealed = box('totp').seal('secret', 'alice');
    expect(() => box('hmac').open(sealed, 'alice')).toThrow('an APP_SECRET that is no longer set');
    expect(() => box('totp').open(sealed, 'bob')).toThrow(/authenticate/);
    // Also with the key id of the right box.
    const keyId = box('hmac').seal('', 'alice').split('.')[0]!;
    expect(() => box('hmac').open(`${keyId}.${sealed.split('.')[1]}`, 'alice')).toThrow(/authenticate/);
  });

  it('rejects a text with an altered or missing byte', () => {
    const [keyId, text] = box().seal('secret', 'alice').split('.') as [string, string];
    const bytes = Buffer.from(text, 'base64url');
    for (let i = 0; i < bytes.length; i++) {
      const altered = Buffer.from(bytes);
      altered[i]! ^= 1;
      expect(() => box().open(`${keyId}.${altered.toString('base64url')}`, 'alice')).toThrow();
      expect(() => box().open(`${keyId}.${bytes.subarray(0, i).toString('base64url')}`, 'alice')).toThrow();
    }
  });

  it('opens with APP_SECRET_PREVIOUS and seals with APP_SECRET', () => {
    const before = box().seal('secret', 'alice');
    const both = settings(NEW, { APP_SECRET_PREVIOUS: OLD });
    expect(box('totp', both).open(before, 'alice')).toBe('secret');
    const after = box('totp', both).seal('secret', 'alice');
    expect(box('totp', settings(NEW)).open(after, 'alice')).toBe('secret');
    expect(() => box().open(after, 'alice')).toThrow();
  });

  it('names the cause when the secret of a text is no longer set', () => {
    const sealed = box().seal('secret', 'alice');
    for (const text of [sealed, '', 'no such thing'])
      expect(() => box('totp', settings(NEW)).open(text, 'alice')).toThrow(
        'A stored secret was encrypted with an APP_SECRET that is no longer set.',
      );
  });
});

describe('derived keys', () => {
  const bytes = (secret: string, purpose: string) => deriveKey(secret, purpose).export().toString('hex');

  it('have 256 bits, are reproducible, and differ by purpose and secret', () => {
    expect(bytes(OLD, 'a')).toMatch(/^[0-9a-f]{64}$/);
    expect(bytes(OLD, 'a')).toBe(bytes(OLD, 'a'));
    expect(new Set([bytes(OLD, 'a'), bytes(OLD, 'b'), bytes(NEW, 'a')]).size).toBe(3);
  });

  it('have ids that do not reveal them', () => {
    const { current, find } = keysOf(OLD);
    expect(current.id).toMatch(/^[0-9a-f]{8}$/);
    expect(bytes(OLD, 'a')).not.toContain(current.id);
    expect(find(current.id)).toBe(current.key);
    expect(find('00000000')).toBeUndefined();
  });

  function keysOf(secret: string) {
    const keys = new DerivedKeys(settings(secret), 'a');
    return { current: keys.current, find: (id: string) => keys.find(id) };
  }
});
