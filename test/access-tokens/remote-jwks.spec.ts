import { afterAll, beforeEach, describe, expect, it } from '@jest/globals';
import { generateKeyPairSync } from 'node:crypto';
import { RemoteJwks, type JwsAlgorithm } from '../../src/access-tokens/remote-jwks.js';
import { newIssuerKey, startIssuerServer } from '../support/issuer.js';
import { WEAK_KEYS } from '../support/weak-keys.js';

const MINUTE = 60_000;
const server = await startIssuerServer();
afterAll(() => server.close());
const [first, second] = [newIssuerKey('first'), newIssuerKey('second')];

let clock: number;
let keys: RemoteJwks;
let before: number;
let failures: string[];
const publish = (...published: unknown[]) => server.at('/keys', () => ({ keys: published }));
const fail = () => server.at('/keys', (_, response) => void response.writeHead(500).end('{"keys":[]}'));
const has = async (kid: string, algorithm: JwsAlgorithm = 'ES256') =>
  (await keys.find(kid, algorithm)) !== undefined;
const fetches = () => server.requestCount('/keys') - before;

beforeEach(() => {
  clock = 1_000_000;
  failures = [];
  keys = new RemoteJwks(
    async () => `${server.origin}/keys`,
    (reason) => void failures.push(reason),
    () => clock,
  );
  before = server.requestCount('/keys');
  publish(first.jwk);
});

describe('the remote key set', () => {
  it('is fetched once for concurrent callers', async () => {
    expect(await Promise.all([1, 2, 3].map(() => has('first')))).toEqual([true, true, true]);
    expect(fetches()).toBe(1);
  });

  it('is fetched again for an unknown kid, at most once in ten seconds', async () => {
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

  it.each(Object.entries(WEAK_KEYS))('has no weak key: %s', async (_, jwk) => {
    const algorithms = ['RS256', 'PS256', 'ES256', 'EdDSA'] as const;
    publish(first.jwk, { ...jwk, kid: 'weak' });
    expect(await has('first')).toBe(true);
    for (const algorithm of algorithms)
      expect([algorithm, await has('weak', algorithm)]).toEqual([algorithm, false]);
  });

  it('is refreshed in the background after five minutes', async () => {
    await has('first');
    publish(second.jwk);
    clock += 5 * MINUTE + 1;
    expect(await has('first')).toBe(true);
    // The unknown kid waits for the same fetch.
    expect(await has('second')).toBe(true);
    expect(await has('first')).toBe(false);
    expect(fetches()).toBe(2);
  });

  it('no longer contains a withdrawn key after a refresh', async () => {
    await has('first');
    publish(second.jwk);
    clock += 11_000;
    expect(await has('second')).toBe(true);
    expect(await has('first')).toBe(false);
  });

  it('is used for at most an hour if the issuer is unavailable', async () => {
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

  it('is requested once in ten seconds if it was never available', async () => {
    fail();
    await expect(keys.find('first', 'ES256')).rejects.toThrow('not a key set');
    await expect(keys.find('first', 'ES256')).rejects.toThrow('too old');
    expect(fetches()).toBe(1);
  });
});

describe('a published key is used only if its type, use and algorithm fit:', () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'jwk' });
  const weak = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' });
  const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey.export({ format: 'jwk' });
  const ed = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' });

  it.each<[string, object, JwsAlgorithm, boolean]>([
    ['RSA, for PKCS #1', rsa, 'RS256', true],
    ['RSA, for PSS', rsa, 'PS512', true],
    ['RSA, for its alg', { ...rsa, alg: 'PS256' }, 'PS256', true],
    ['RSA, for another alg', { ...rsa, alg: 'PS256' }, 'RS256', false],
    ['RSA, for an elliptic curve algorithm', rsa, 'ES256', false],
    ['RSA of 1024 bits', weak, 'RS256', false],
    ['P-384, for its algorithm', p384, 'ES384', true],
    ['P-384, for another algorithm', p384, 'ES256', false],
    ['Ed25519', ed, 'EdDSA', true],
    ['use: enc', { ...rsa, use: 'enc' }, 'RS256', false],
    ['key_ops: verify', { ...rsa, use: 'sig', key_ops: ['verify'] }, 'RS256', true],
    ['key_ops: wrapKey', { ...rsa, key_ops: ['wrapKey'] }, 'RS256', false],
    ['a point that is not on the curve', { ...first.jwk, x: second.jwk.x }, 'ES256', false],
    ['a symmetric key', { kty: 'oct', k: 'c2VjcmV0' }, 'ES256', false],
  ])('%s', async (_, jwk, algorithm, good) => {
    publish({ ...jwk, kid: 'it' }, null, 'text', { kid: 'other' });
    expect(await has('it', algorithm)).toBe(good);
  });

  it('uses the first of two keys with the same id', async () => {
    publish(first.jwk, { ...second.jwk, kid: 'first' });
    const found = await keys.find('first', 'ES256');
    expect(found?.equals(first.publicKey)).toBe(true);
  });

  it('rejects a set with more than a hundred keys', async () => {
    publish(...Array<unknown>(101).fill(first.jwk));
    await expect(keys.find('first', 'ES256')).rejects.toThrow('more than 100 keys');
  });
});
