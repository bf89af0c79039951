import { describe, expect, it } from '@jest/globals';
import { Settings } from '../../src/config/settings.js';
import { StatelessNonces, type StatelessNonceOptions } from '../../src/crypto/stateless-nonce.js';

const MINUTE = 60_000;
const APP_SECRET = 'one secret of thirty-two characters';
const OTHER_SECRET = 'another secret of thirty-two letters';
const noncesWith = (options: Partial<StatelessNonceOptions> = {}, env: Record<string, string> = {}) =>
  new StatelessNonces(Settings.from({ APP_SECRET, ...env }), {
    purpose: 'test nonces',
    context: 'atlas',
    lifetimeMs: 2 * MINUTE,
    randomBytes: 10,
    ...options,
  });

describe('a stateless nonce', () => {
  const at = Date.now();

  it('expires after its lifetime and is due for renewal after half of it', () => {
    const nonce = noncesWith().issue(at);
    const read = (after: number) => noncesWith().verify(nonce, at + after);
    expect(read(MINUTE - 1)).toMatchObject({ expired: false, renewalDue: false });
    expect(read(MINUTE)).toMatchObject({ expired: false, renewalDue: true });
    expect(read(2 * MINUTE)).toMatchObject({ expired: true, expiresAt: new Date(at + 2 * MINUTE) });
  });

  it('has a unique id when it has random bytes', () => {
    const ids = [1, 2].map(() => noncesWith().verify(noncesWith().issue(at), at)?.id);
    expect(ids[0]).toMatch(/^[\w-]{22}$/);
    expect(ids[1]).not.toBe(ids[0]);
  });

  it('is rejected for another purpose, context or secret', () => {
    const nonce = noncesWith().issue(at);
    expect(noncesWith({ purpose: 'other nonces' }).verify(nonce, at)).toBeUndefined();
    expect(noncesWith({ context: 'other' }).verify(nonce, at)).toBeUndefined();
    expect(noncesWith({}, { APP_SECRET: OTHER_SECRET }).verify(nonce, at)).toBeUndefined();
  });

  it('stays valid after a rotation of APP_SECRET', () => {
    const rotated = { APP_SECRET: OTHER_SECRET, APP_SECRET_PREVIOUS: APP_SECRET };
    expect(noncesWith({}, rotated).verify(noncesWith().issue(at), at)).toBeDefined();
  });

  it.each([0, 10])('has one spelling with %i random bytes', (randomBytes) => {
    const nonces = noncesWith({ randomBytes });
    const nonce = nonces.issue(at);
    expect(nonces.verify(nonce, at)).toBeDefined();
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/. ';
    for (const letter of alphabet) {
      const other = nonce.slice(0, -1) + letter;
      if (other !== nonce) expect([other, nonces.verify(other, at)]).toEqual([other, undefined]);
    }
    for (const other of [
      '',
      '.',
      `${nonce}=`,
      ` ${nonce}`,
      nonce.toUpperCase(),
      `constructor${nonce.slice(8)}`,
    ])
      expect([other, nonces.verify(other, at)]).toEqual([other, undefined]);
  });
});
