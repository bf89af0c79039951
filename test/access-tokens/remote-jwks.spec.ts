import { afterAll, beforeEach, describe, expect, it } from '@jest/globals';
import { generateKeyPairSync } from 'node:crypto';
import { RemoteJwks, type Algorithm } from '../../src/access-tokens/remote-jwks.js';
import { issuersKey, otherServer } from '../support/issuer.js';

const MINUTE = 60_000;
const server = await otherServer();
afterAll(() => server.close());
const [first, second] = [issuersKey('first'), issuersKey('second')];

let clock: number;
let keys: RemoteJwks;
let before: number;
let failures: string[];
const publish = (...published: unknown[]) => server.at('/keys', () => ({ keys: published }));
const fail = () => server.at('/keys', (_, response) => void response.writeHead(500).end('{"keys":[]}'));
const has = async (kid: string, algorithm: Algorithm = 'ES256') =>
  (await keys.find(kid, algorithm)) !== undefined;
const fetches = () => server.asked('/keys') - before;

beforeEach(() => {
  clock = 1_000_000;
  failures = [];
  keys = new RemoteJwks(
    async () => `${server.origin}/keys`,
    (reason) => void failures.push(reason),
    () => clock,
  );
  before = server.asked('/keys');
  publish(first.jwk);
});

describe('the key set of an issuer', () => {
  it('is fetched once, however many wait for it', async () => {
    expect(await Promise.all([1, 2, 3].map(() => has('first')))).toEqual([true, true, true]);
    expect(fetches()).toBe(1);
  });

  it('is fetched again for an id that is not there, and not sooner than ten seconds after the last time', async () => {
    await has('first');
    publish(first.jwk, second.jwk);
    expect(await has('second')).toBe(false);
    clock += 9_999;
    expect(await has('second')).toBe(false);
    expect(fetches()).toBe(1);
    clock += 1;
    expect(await Promise.all([1, 2, 3].map(() => has('second')))).toEqual([true, true, true]);
    expect(fetches()).toBe(2);
  });

  it('is fetched again when it is five minutes old, and nobody waits for that', async () => {
    await has('first');
    publish(second.jwk);
    clock += 5 * MINUTE + 1;
    expect(await has('first')).toBe(true);
    // What it waits for is that very fetch.
    expect(await has('second')).toBe(true);
    expect(await has('first')).toBe(false);
    expect(fetches()).toBe(2);
  });

  it('a key that was withdrawn is gone', async () => {
    await has('first');
    publish(second.jwk);
    clock += 11_000;
    expect(await has('second')).toBe(true);
    expect(await has('first')).toBe(false);
  });

  it('is used for an hour where its issuer cannot be asked, and then no more', async () => {
    await has('first');
    fail();
    clock += 60 * MINUTE;
    expect(await has('first')).toBe(true);
    expect(await has('second')).toBe(false);
    expect(failures).toEqual([expect.stringContaining('not a key set')]);
    clock += 1;
    await expect(keys.find('first', 'ES256')).rejects.toThrow('too old');
    publish(first.jwk);
    clock += 10_000;
    expect(await has('first')).toBe(true);
  });

  it('where it was never to be had, its issuer is asked every ten seconds', async () => {
    fail();
    await expect(keys.find('first', 'ES256')).rejects.toThrow('not a key set');
    await expect(keys.find('first', 'ES256')).rejects.toThrow('too old');
    expect(fetches()).toBe(1);
  });
});

describe('a key is for what it says, and for what it can', () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'jwk' });
  const weak = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' });
  const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey.export({ format: 'jwk' });
  const ed = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' });

  it.each<[string, object, Algorithm, boolean]>([
    ['RSA, for PKCS #1', rsa, 'RS256', true],
    ['RSA, for PSS', rsa, 'PS512', true],
    ['RSA, for what it says', { ...rsa, alg: 'PS256' }, 'PS256', true],
    ['RSA, for something else than it says', { ...rsa, alg: 'PS256' }, 'RS256', false],
    ['RSA for an elliptic curve', rsa, 'ES256', false],
    ['RSA of 1024 bits', weak, 'RS256', false],
    ['a curve for its algorithm', p384, 'ES384', true],
    ['a curve for another', p384, 'ES256', false],
    ['Ed25519', ed, 'EdDSA', true],
    ['to encrypt', { ...rsa, use: 'enc' }, 'RS256', false],
    ['to verify', { ...rsa, use: 'sig', key_ops: ['verify'] }, 'RS256', true],
    ['to wrap', { ...rsa, key_ops: ['wrapKey'] }, 'RS256', false],
    ['a point that is not on its curve', { ...first.jwk, x: second.jwk.x }, 'ES256', false],
    ['a secret', { kty: 'oct', k: 'c2VjcmV0' }, 'ES256', false],
  ])('%s', async (_, jwk, algorithm, good) => {
    publish({ ...jwk, kid: 'it' }, null, 'text', { kid: 'other' });
    expect(await has('it', algorithm)).toBe(good);
  });

  it('of two with one id, the first', async () => {
    publish(first.jwk, { ...second.jwk, kid: 'first' });
    const found = await keys.find('first', 'ES256');
    expect(found?.equals(first.publicKey)).toBe(true);
  });

  it('a set with more than a hundred is none', async () => {
    publish(...Array<unknown>(101).fill(first.jwk));
    await expect(keys.find('first', 'ES256')).rejects.toThrow('more than 100 keys');
  });
});
