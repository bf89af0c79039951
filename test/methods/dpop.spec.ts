import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { calculateJwkThumbprint, jwtVerify, EmbeddedJWK } from 'jose';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { Settings } from '../../src/config/settings.js';
import { dpopProof } from '../../src/methods/dpop/dpop.client.js';
import {
  PROOF_ALGORITHMS,
  parseProofKey,
  importProofKey,
  verifySignature,
  type ProofAlgorithm,
} from '../../src/methods/dpop/dpop.keys.js';
import { dpopNonces } from '../../src/methods/dpop/dpop.strategy.js';
import {
  InvalidProof,
  MAX_CLOCK_SKEW_SECONDS,
  accessTokenHash,
  proofFault,
  normalizeUri,
  parseProof,
} from '../../src/methods/dpop/dpop.js';
import { ALGORITHMS, encode, forgeProof, withSecondSignature, publicJwk, signed } from './dpop.forge.js';

const RUNS = { numRuns: 10_000 };
const { key } = ALGORITHMS.ES256;
const HEADER = encode({ typ: 'dpop+jwt', alg: 'ES256', jwk: publicJwk(key) });
const now = Math.floor(Date.now() / 1000);

/** A second key for each algorithm. */
const OTHER_KEYS = {
  ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
  Ed25519: ALGORITHMS.EdDSA.key,
  EdDSA: ALGORITHMS.Ed25519.key,
  PS256: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
};

const rejectionOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidProof);
    return (error as InvalidProof).message;
  }
  throw new Error('the proof was accepted');
};

async function hasValidSignature(text: string): Promise<boolean> {
  const { key: proofKey, signingInput, signature } = parseProof(text);
  const publicKey = importProofKey(proofKey);
  return publicKey !== undefined && verifySignature(proofKey.algorithm, publicKey, signingInput, signature);
}

describe('the example proofs of RFC 9449', () => {
  const head =
    'eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19';
  const TOKEN = 'Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU';

  it.each([
    [
      'for a token request (section 5)',
      'eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg',
      { method: 'POST', uris: ['https://server.example.com/token'], now: 1_562_262_616 },
      'it is for another access token',
    ],
    [
      'for a refresh token request (section 5)',
      'eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjY1Mjk2fQ.pAqut2IRDm_De6PR93SYmGBPXpwrAk90e8cP2hjiaG5QsGSuKDYW7_X620BxqhvYC8ynrrvZLTk41mSRroapUA',
      { method: 'POST', uris: ['https://server.example.com/token'], now: 1_562_265_296 },
      'it is for another access token',
    ],
    [
      'for a protected resource request (section 7.1)',
      'eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA',
      { method: 'GET', uris: ['https://resource.example.org/protectedresource'], now: 1_562_262_618 },
      undefined,
    ],
  ] as const)('%s: verifies, and is too old today', async (_, rest, expected, fault) => {
    const proof = parseProof(`${head}.${rest}`);
    expect(proof.key.thumbprint).toBe('0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I');
    expect(await hasValidSignature(`${head}.${rest}`)).toBe(true);
    expect(proofFault(proof.claims, { ...expected, accessToken: TOKEN })).toBe(fault);
    expect(proofFault(proof.claims, { ...expected, accessToken: TOKEN, now })).toBe(
      'its iat is too far from the current time',
    );
  });
});

describe('a proof', () => {
  it('of our client is accepted by this server and by jose', async () => {
    const proof = dpopProof(key, {
      method: 'GET',
      url: 'https://api.example.com/me?a=1#b',
      nonce: 'n',
      accessToken: 't',
    });
    expect(await hasValidSignature(proof)).toBe(true);
    const { claims } = parseProof(proof);
    expect(claims).toMatchObject({ htm: 'GET', htu: 'https://api.example.com/me', nonce: 'n' });
    const { payload } = await jwtVerify(proof, EmbeddedJWK, { typ: 'dpop+jwt' });
    expect(payload).toMatchObject({ ath: accessTokenHash('t'), jti: claims.jti });
  });

  it.each(PROOF_ALGORITHMS)('by %s verifies, and has the thumbprint of RFC 7638', async (kind) => {
    const { key: own } = ALGORITHMS[kind];
    const proof = forgeProof({ key: own, kind });
    expect(await hasValidSignature(proof)).toBe(true);
    expect(parseProof(proof).key.thumbprint).toBe(await calculateJwkThumbprint(publicJwk(own)));
  });

  it.each(PROOF_ALGORITHMS)(
    'by %s is rejected with a signature of another text or another key',
    async (kind) => {
      const { key: own } = ALGORITHMS[kind];
      const [, , signature] = forgeProof({ key: own, kind }).split('.');
      expect(await hasValidSignature(forgeProof({ key: own, kind, signature: signature! }))).toBe(false);
      expect(await hasValidSignature(forgeProof({ key: own, kind, signature: 'AA' }))).toBe(false);
      const jwk = publicJwk(OTHER_KEYS[kind]);
      expect(await hasValidSignature(forgeProof({ key: own, kind, header: { jwk } }))).toBe(false);
    },
  );

  it('may contain white space, escapes and additional claims', async () => {
    const header = JSON.stringify({ typ: 'dpop+jwt', alg: 'ES256', jwk: publicJwk(key) }, undefined, 2);
    const payload = `{ "iat": ${now}.25, "jti": "a", "htm": "GET", "htu": "https:\\/\\/h\\/", "more": { "jti": ["\\"jti\\":", {}] } }`;
    const proof = signed(`${encode(header)}.${encode(payload)}`, key);
    expect(await hasValidSignature(proof)).toBe(true);
    expect(parseProof(proof).claims).toMatchObject({ htu: 'https://h/', iat: now + 0.25 });
  });

  const good = forgeProof({ key });
  const [head = '', payload = '', signature = ''] = good.split('.');
  const otherEnd = (part: string) =>
    part.slice(0, -1) + String.fromCharCode(part.charCodeAt(part.length - 1) + 1);
  it.each([
    ['empty', ''],
    ['two parts', `${head}.${payload}`],
    ['four parts', `${good}.${signature}`],
    ['without a signature', `${head}.${payload}.`],
    ['two joined proofs', `${good}, ${good}`],
    ['padded', `${good}==`],
    ['with a leading space', ` ${good}`],
    ['with a line break', `${good}\n`],
    ['with other unused bits at the end', otherEnd(good)],
    ['in base64 instead of base64url', `${head}.${payload}.${signature.slice(0, -2)}+/`],
    ['in JSON serialization', JSON.stringify({ protected: head, payload, signature })],
    ['too long', `${head}.${'A'.repeat(8_192)}.${signature}`],
  ])('rejects a proof that is %s', (_, text) => {
    expect(rejectionOf(() => parseProof(text))).toMatch(/not one JWT|too long/);
  });

  const claims = '"jti":"a","htm":"GET","htu":"https://h/","iat":1';
  const bytes = (text: string) => Buffer.from(text, 'latin1');
  it.each([
    ['invalid JSON', '{', 'it holds no JSON'],
    ['an array', '[]', 'it holds no JSON object'],
    ['null', 'null', 'it holds no JSON object'],
    ['a string', '"a"', 'it holds no JSON object'],
    ['invalid UTF-8', bytes(`{${claims},"a":"\xff"}`), 'it holds no JSON'],
    ['overlong UTF-8', bytes(`{${claims},"a":"\xc1\xa1"}`), 'it holds no JSON'],
    ['with a byte order mark', `\ufeff{${claims}}`, 'it holds no JSON'],
    ['with a duplicate name', `{${claims},"jti":"b"}`, 'it has a duplicate name'],
    ['with a duplicate name that is escaped', `{${claims},"\\u006ati" : "b"}`, 'it has a duplicate name'],
    [
      'with a duplicate name in a nested object',
      `{${claims},"a":[{"b":1,"b":2}]}`,
      'it has a duplicate name',
    ],
    ['with a duplicate __proto__', `{${claims},"__proto__":1,"__proto__":2}`, 'it has a duplicate name'],
    ['empty', '{}', 'jti is missing'],
  ])('rejects a payload that is %s', (_, text, reason) => {
    const encoded = Buffer.from(text as string).toString('base64url');
    expect(rejectionOf(() => parseProof(signed(`${HEADER}.${encoded}`, key)))).toBe(reason);
  });

  it('parses or rejects a deeply nested payload without another error', () => {
    const nested = `{${claims},"a":${'['.repeat(2_700)}${']'.repeat(2_700)}}`;
    try {
      parseProof(signed(`${HEADER}.${encode(nested)}`, key));
    } catch (error) {
      expect((error as Error).message).toBe('it holds no JSON');
      expect(error).toBeInstanceOf(InvalidProof);
    }
  });

  it.each(['JWT', 'dpop', 'DPOP+JWT', 'at+jwt', 'application/dpop+jwt', undefined, null, ['dpop+jwt']])(
    'rejects the typ %j',
    (typ) => expect(rejectionOf(() => parseProof(forgeProof({ key, header: { typ } })))).toMatch('typ'),
  );

  it.each([
    ...['none', 'HS256', 'RS256', 'ES384', 'ES256K', 'es256', 'toString', '__proto__', '', undefined, 1],
  ])('rejects the alg %j', (alg) => {
    expect(rejectionOf(() => parseProof(forgeProof({ key, header: { alg } })))).toMatch('alg');
  });

  const jwk = publicJwk(key);
  const rsa = publicJwk(ALGORITHMS.PS256.key);
  const okp = publicJwk(ALGORITHMS.Ed25519.key);
  it.each([
    ['missing', 'ES256', undefined],
    ['a string', 'ES256', 'jwk'],
    ['an array', 'ES256', [jwk]],
    ['empty', 'ES256', {}],
    ['private', 'ES256', { ...jwk, d: 'AA' }],
    ['private (RSA)', 'PS256', { ...rsa, p: 'AA', q: 'AA' }],
    ['private with an empty member', 'ES256', { ...jwk, d: '' }],
    ['symmetric', 'ES256', { kty: 'oct', k: 'c2VjcmV0' }],
    ['public and symmetric', 'ES256', { ...jwk, k: 'c2VjcmV0' }],
    ['with a certificate', 'ES256', { ...jwk, x5c: ['AA'] }],
    ['of another curve', 'ES256', { ...jwk, crv: 'P-384' }],
    ['of another type', 'ES256', { ...jwk, kty: 'OKP' }],
    ['of another algorithm', 'PS256', jwk],
    ['without a required member', 'ES256', { ...jwk, y: undefined }],
    ['padded', 'ES256', { ...jwk, x: `${jwk['x']}=` }],
    ['truncated', 'ES256', { ...jwk, x: jwk['x']!.slice(0, -2) }],
    ['without base64url', 'ES256', { ...jwk, x: 1 }],
    ['an RSA key that is too short', 'PS256', { ...rsa, n: rsa['n']!.slice(0, 171) }],
    ['an RSA key that is too long', 'PS256', { ...rsa, n: Buffer.alloc(513, 255).toString('base64url') }],
    ['an RSA key with a leading zero', 'PS256', { ...rsa, n: encodeBytes(0, rsa['n']!) }],
    ['an RSA key with the exponent 1', 'PS256', { ...rsa, e: 'AQ' }],
    ['an RSA key with the exponent 3', 'PS256', { ...rsa, e: 'Aw' }],
    ['an RSA key with a padded exponent', 'PS256', { ...rsa, e: 'AAEAAQ' }],
    ['of Ed448', 'EdDSA', { ...okp, crv: 'Ed448' }],
    ['of X25519', 'EdDSA', { ...okp, crv: 'X25519' }],
  ])('rejects a jwk that is %s', (_, alg, value) => {
    expect(rejectionOf(() => parseProof(forgeProof({ key, header: { alg, jwk: value } })))).toMatch('jwk');
  });

  it('accepts a jwk with alg, use, key_ops, kid and ext', async () => {
    const described = { ...jwk, alg: 'ES256', use: 'sig', key_ops: ['verify'], kid: 'mine', ext: true };
    const proof = forgeProof({ key, header: { jwk: described } });
    expect(await hasValidSignature(proof)).toBe(true);
    expect(parseProof(proof).key).toEqual(parseProof(good).key);
  });

  it.each([
    { kid: 'of-another' },
    { x5u: 'https://attacker.example' },
    { jku: 'https://attacker.example' },
    { crit: ['exp'], exp: 1 },
    { b64: false, crit: ['b64'] },
    { zip: 'DEF' },
  ])('rejects a header with %j', (header) => {
    expect(rejectionOf(() => parseProof(forgeProof({ key, header })))).toMatch('header');
  });

  it('rejects a key that is not on its curve, or too short', async () => {
    const swapped = parseProofKey('ES256', { ...jwk, x: jwk['y'], y: jwk['x'] });
    expect(importProofKey(swapped!)).toBeUndefined();
    // 256 bytes whose first bit is zero: 2047 bits.
    const short = Buffer.from(rsa['n']!, 'base64url');
    short[0] = 0x7f;
    expect(
      importProofKey(parseProofKey('PS256', { ...rsa, n: short.toString('base64url') })!),
    ).toBeUndefined();
    expect(
      await hasValidSignature(forgeProof({ key, header: { jwk: { ...jwk, x: jwk['y'], y: jwk['x'] } } })),
    ).toBe(false);
  });

  it('rejects an Ed25519 key of small order, which OpenSSL accepts', () => {
    for (const hex of [
      '00'.padEnd(64, '0'),
      '01'.padEnd(64, '0'),
      ...['ec', 'ed', 'ee'].map((first) => `${first.padEnd(62, 'f')}7f`),
      '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
      'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
    ])
      for (const sign of [0, 0x80]) {
        const bytes = Buffer.from(hex, 'hex');
        bytes[31]! |= sign;
        const weak = { kty: 'OKP', crv: 'Ed25519', x: bytes.toString('base64url') };
        expect(createPublicKey({ key: weak, format: 'jwk' }).asymmetricKeyType).toBe('ed25519');
        expect(parseProofKey('Ed25519', weak)).toBeUndefined();
        expect(parseProofKey('EdDSA', weak)).toBeUndefined();
      }
  });

  it.each([
    ['no jti', { jti: undefined }],
    ['an empty jti', { jti: '' }],
    ['a jti that is a number', { jti: 1 }],
    ['a jti of 256 characters', { jti: 'j'.repeat(256) }],
    ['no htm', { htm: undefined }],
    ['several htm', { htm: ['GET', 'POST'] }],
    ['no htu', { htu: undefined }],
    ['several htu', { htu: ['https://api.example.com/demo/dpop'] }],
    ['no iat', { iat: undefined }],
    ['an iat that is a string', { iat: String(now) }],
    ['an exp that is a string', { exp: '9' }],
    ['an nbf that is a string', { nbf: '1' }],
    ['an ath that is a number', { ath: 1 }],
    ['a nonce that is an array', { nonce: ['a'] }],
  ])('rejects %s', (_, claims) => {
    rejectionOf(() => parseProof(forgeProof({ key, claims })));
  });

  it('rejects an infinite iat', () => {
    const payloads = [`{"jti":"a","htm":"GET","htu":"h","iat":1e999}`];
    for (const text of payloads)
      expect(rejectionOf(() => parseProof(signed(`${HEADER}.${encode(text)}`, key)))).toMatch('iat');
  });

  it('has a second valid ECDSA signature with the same jti', async () => {
    const other = withSecondSignature(good);
    expect(other).not.toBe(good);
    expect(await hasValidSignature(other)).toBe(true);
    expect(parseProof(other).claims.jti).toBe(parseProof(good).claims.jti);
  });

  it('rejects a signature in DER', async () => {
    const bytes = Buffer.from(signature, 'base64url');
    const integer = (number: Buffer) => {
      const trimmed = number.subarray(number.findIndex((byte) => byte !== 0));
      const padded = trimmed[0]! & 0x80 ? Buffer.concat([Buffer.of(0), trimmed]) : trimmed;
      return Buffer.concat([Buffer.of(2, padded.length), padded]);
    };
    const both = Buffer.concat([integer(bytes.subarray(0, 32)), integer(bytes.subarray(32))]);
    const der = Buffer.concat([Buffer.of(0x30, both.length), both]).toString('base64url');
    expect(await hasValidSignature(`${head}.${payload}.${der}`)).toBe(false);
    expect(await hasValidSignature(`${head}.${payload}.${Buffer.alloc(64).toString('base64url')}`)).toBe(
      false,
    );
  });

  it('parses or rejects any text without another error', () => {
    const piece = fc.oneof(
      fc.constantFrom(
        '{',
        '}',
        '[',
        ']',
        '"',
        ':',
        ',',
        '\\',
        ' ',
        '"jti":"a"',
        '"iat":1',
        '"jwk":',
        '"__proto__":1',
      ),
      fc.string({ maxLength: 5 }),
    );
    const json = fc.array(piece, { maxLength: 12 }).map((pieces) => encode(pieces.join('')));
    const header = fc.oneof(
      fc.constant(HEADER),
      fc.json().map(encode),
      fc
        .record({
          typ: fc.constant('dpop+jwt'),
          alg: fc.constantFrom(...PROOF_ALGORITHMS),
          jwk: fc.jsonValue(),
        })
        .map(encode),
      json,
    );
    const text = fc.oneof(
      fc
        .tuple(header, fc.oneof(json, fc.json().map(encode)), fc.base64String())
        .map((parts) => parts.join('.')),
      fc.string(),
    );
    fc.assert(
      fc.property(text, (each) => {
        try {
          parseProof(each);
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidProof);
        }
      }),
      RUNS,
    );
  });

  it('accepts only one spelling of each proof', async () => {
    fc.assert(
      fc.property(
        fc.nat({ max: good.length - 1 }),
        fc.constantFrom('', 'A', '=', '-', '_', '.', ' ', 'b'),
        (at, letter) => {
          const other = good.slice(0, at) + letter + good.slice(at + 1);
          if (other === good) return;
          try {
            const [one, two] = [parseProof(good), parseProof(other)];
            expect(one.signingInput === two.signingInput && one.signature.equals(two.signature)).toBe(false);
          } catch (error) {
            expect(error).toBeInstanceOf(InvalidProof);
          }
        },
      ),
      RUNS,
    );
  });
});

/** Encodes a number with a byte in front. */
function encodeBytes(first: number, number: string): string {
  return Buffer.concat([Buffer.of(first), Buffer.from(number, 'base64url').subarray(0, 255)]).toString(
    'base64url',
  );
}

describe('proofFault', () => {
  const uri = 'https://api.example.com/demo/dpop';
  const token = 'access-token';
  const fault = (claims: object, expected: object = {}) =>
    proofFault(parseProof(forgeProof({ key, claims: { iat: now, ...claims }, accessToken: token })).claims, {
      method: 'GET',
      uris: [uri],
      accessToken: token,
      now,
      ...expected,
    });

  it('accepts a matching proof', () => expect(fault({})).toBeUndefined());

  it.each(['POST', 'get', 'GET ', 'HEAD'])('rejects the method %j', (htm) =>
    expect(fault({ htm })).toBe('it is for another method'),
  );

  it.each(['https://api.example.com/demo', 'nowhere', 'https://api.example.com/demo/dpop/'])(
    'rejects the URI %j',
    (htu) => expect(fault({ htu })).toBe('it is for another URI'),
  );

  it('accepts any of several URIs', () => {
    expect(fault({}, { uris: ['http://127.0.0.1:3000/demo/dpop', uri] })).toBeUndefined();
    expect(fault({}, { uris: [] })).toBe('it is for another URI');
    expect(fault({ htu: 'nowhere' }, { uris: [] })).toBe('it is for another URI');
  });

  it.each([-MAX_CLOCK_SKEW_SECONDS, MAX_CLOCK_SKEW_SECONDS, 0.5])(
    'accepts an iat %d seconds from now',
    (seconds) => expect(fault({ iat: now + seconds })).toBeUndefined(),
  );

  it.each([-MAX_CLOCK_SKEW_SECONDS - 1, MAX_CLOCK_SKEW_SECONDS + 1, -1e300, 1e300, -now])(
    'rejects an iat %d seconds from now',
    (seconds) => expect(fault({ iat: now + seconds })).toBe('its iat is too far from the current time'),
  );

  it.each([
    [{ exp: now + 1 }, undefined],
    [{ exp: now }, 'it has expired'],
    [{ exp: 0 }, 'it has expired'],
    [{ nbf: now + MAX_CLOCK_SKEW_SECONDS }, undefined],
    [{ nbf: now + MAX_CLOCK_SKEW_SECONDS + 1 }, 'it is not valid yet'],
    [{ nbf: now - 1, exp: now + 60 }, undefined],
  ])('for %j returns %s', (claims, expected) => expect(fault(claims)).toBe(expected));

  it.each([undefined, '', accessTokenHash('another'), `${accessTokenHash(token)}=`, token])(
    'rejects the ath %j',
    (ath) => expect(fault({ ath })).toBe('it is for another access token'),
  );
});

describe('normalizeUri', () => {
  const normal = 'https://api.example.com/demo/dpop';

  it.each([
    normal,
    `${normal}?query=1`,
    `${normal}#fragment`,
    `${normal}?a#b?c`,
    'HTTPS://API.EXAMPLE.COM/demo/dpop',
    'https://api.example.com:443/demo/dpop',
    'https://api.example.com:/demo/dpop',
    'https://api.example.com/demo/./dpop',
    'https://api.example.com/x/../demo/dpop',
    'https://api.example.com/../demo/dpop',
    'https://api.example.com/x/%2e%2E/demo/dpop',
    'https://api.example.com/%64emo/dpo%70',
  ])('%s equals the normal form', (text) => expect(normalizeUri(text)).toBe(normal));

  it.each([
    'https://api.example.com/demo/dpop/',
    'https://api.example.com/demo/dpop/.',
    'https://api.example.com//demo/dpop',
    'https://api.example.com/demo//dpop',
    'https://api.example.com/Demo/dpop',
    'https://api.example.com/demo%2Fdpop',
    'https://api.example.com/demo%2fdpop',
    'https://api.example.com/demo/dpop%3F',
    'https://api.example.com/demo/dpop%20',
    'https://api.example.com/demo/dpop/..',
    'https://api.example.com/demo/dpop;a',
    'https://api.example.com/demo/%2564pop',
    'https://api.example.com/demo',
    'https://api.example.com',
    'http://api.example.com/demo/dpop',
    'http://api.example.com:443/demo/dpop',
    'https://api.example.com:80/demo/dpop',
    'https://api.example.com:8443/demo/dpop',
    'https://api.example.com./demo/dpop',
    'https://api.example.com.attacker.example/demo/dpop',
    'https://attacker.example/https://api.example.com/demo/dpop',
    'https://api.example.org/demo/dpop',
  ])('%s differs', (text) => {
    expect(normalizeUri(text)).toEqual(expect.any(String));
    expect(normalizeUri(text)).not.toBe(normal);
  });

  it.each([
    '',
    '/demo/dpop',
    '//api.example.com/demo/dpop',
    'api.example.com/demo/dpop',
    'https:api.example.com/demo/dpop',
    'https:///demo/dpop',
    'https://user@api.example.com/demo/dpop',
    'https://api.example.com:443@attacker.example/demo/dpop',
    'https://attacker.example\\@api.example.com/demo/dpop',
    'https:\\\\api.example.com\\demo\\dpop',
    'https://api.example.com:x/demo/dpop',
    'https://api.example.com:4433333/demo/dpop',
    'https://api.example.com/demo/dpop%',
    'https://api.example.com/demo/dpop%2',
    'https://api.example.com/demo/dpop%zz',
    'https://api.example.com/demo dpop',
    'https://api.example.com/demo/dpöp',
    ' https://api.example.com/demo/dpop',
    'https://api.example.com/demo/dpop\n',
    'https://api.example.com/demo/dpop?\n',
    'https://api.\nexample.com/demo/dpop',
    'https://api%2eexample.com/demo/dpop',
    'ftp://api.example.com/demo/dpop',
    'javascript:alert(1)',
  ])('rejects %j', (text) => expect(normalizeUri(text)).toBeUndefined());

  it('adds the path / if it is absent', () => {
    expect(normalizeUri('http://[::1]:3000')).toBe('http://[::1]:3000/');
    expect(normalizeUri('http://localhost:080?')).toBe('http://localhost/');
  });

  const segment = fc.constantFrom(
    'a',
    'B',
    '.',
    '..',
    '',
    '%41',
    '%2e',
    '%2F',
    '%c3%A9',
    'a:b@',
    '~',
    '%7E',
    '*',
  );
  const path = fc.array(segment, { maxLength: 6 }).map((segments) => `/${segments.join('/')}`);
  const origin = fc.constantFrom(
    'http://h',
    'HTTP://H:80',
    'https://h:443',
    'https://h:8',
    'http://h:443',
    'https://127.0.0.1',
  );

  it('is idempotent', () => {
    fc.assert(
      fc.property(origin, path, (at, to) => {
        const once = normalizeUri(at + to)!;
        expect(normalizeUri(once)).toBe(once);
      }),
      RUNS,
    );
  });

  it('agrees with the URL class, after unnecessary encoding is removed', () => {
    const byUrl = (text: string) =>
      new URL(text.replace(/%(41|7E|2e)/gi, (encoded) => decodeURIComponent(encoded))).href.replace(
        /%[\da-f]{2}/gi,
        (encoded) => encoded.toUpperCase(),
      );
    fc.assert(
      fc.property(origin, path, (at, to) => {
        expect(normalizeUri(at + to)).toBe(byUrl(at + to));
      }),
      RUNS,
    );
  });

  it('returns an http or https URI, or undefined, for any text', () => {
    const any = fc.oneof(
      fc.webUrl({ withFragments: true, withQueryParameters: true }),
      fc.string(),
      fc.string().map((text) => `https://${text}`),
      fc.string({ unit: 'binary' }).map((text) => `https://api.example.com/${text}`),
    );
    fc.assert(
      fc.property(any, (text) => {
        const uri = normalizeUri(text);
        if (uri !== undefined) expect(uri).toMatch(/^https?:\/\/[^/?#@\s]+\/[^?#\s]*$/);
      }),
      RUNS,
    );
  });
});

describe('a nonce', () => {
  const settings = (more: Record<string, string> = {}) =>
    Settings.from({
      APP_SECRET: 'one secret of thirty-two characters',
      PUBLIC_URL: 'https://api.example.com',
      ...more,
    });
  const nonces = dpopNonces(settings());
  const [at, MINUTE] = [Date.now(), 60_000];

  it('is valid for two minutes in every process, and is due for renewal after one', () => {
    const nonce = nonces.issue(at);
    const others = dpopNonces(settings());
    expect(others.verify(nonce, at)).toMatchObject({
      expiresAt: new Date(at + 2 * MINUTE),
      expired: false,
      renewalDue: false,
    });
    expect(others.verify(nonce, at + MINUTE - 1)).toMatchObject({ renewalDue: false });
    expect(others.verify(nonce, at + MINUTE)).toMatchObject({ renewalDue: true });
    expect(others.verify(nonce, at + 2 * MINUTE - 1)).toMatchObject({ expired: false, renewalDue: true });
    expect(others.verify(nonce, at + 2 * MINUTE)).toMatchObject({ expired: true });
  });

  it('contains only characters of RFC 9449 section 8.1', () => {
    expect(nonces.issue()).toMatch(/^[\x21\x23-\x5b\x5d-\x7e]+$/);
  });

  it('stays valid while APP_SECRET is being replaced', () => {
    const nonce = nonces.issue(at);
    const APP_SECRET = 'another secret of thirty-two letters';
    const rotated = settings({ APP_SECRET, APP_SECRET_PREVIOUS: 'one secret of thirty-two characters' });
    expect(dpopNonces(rotated).verify(nonce, at)).toBeDefined();
    expect(dpopNonces(settings({ APP_SECRET })).verify(nonce, at)).toBeUndefined();
  });

  it('of another server with the same secret is rejected', () => {
    const other = dpopNonces(settings({ PUBLIC_URL: 'https://other.example.com' }));
    expect(nonces.verify(other.issue(at), at)).toBeUndefined();
  });

  it('is rejected after any change', () => {
    const nonce = nonces.issue(at);
    fc.assert(
      fc.property(
        fc.nat({ max: nonce.length - 1 }),
        fc.constantFrom('', 'A', '0', 'f', '.', '_', '='),
        (i, letter) => {
          const other = nonce.slice(0, i) + letter + nonce.slice(i + 1);
          if (other !== nonce) expect(nonces.verify(other, at)).toBeUndefined();
        },
      ),
      RUNS,
    );
    for (const text of [
      '',
      '.',
      `${nonce}A`,
      ` ${nonce}`,
      nonce.toUpperCase(),
      'constructor.',
      `__proto__${nonce.slice(8)}`,
    ])
      expect(nonces.verify(text, at)).toBeUndefined();
  });
});

describe('the algorithms', () => {
  it('accept only keys of their own type', () => {
    const all: readonly ProofAlgorithm[] = PROOF_ALGORITHMS;
    for (const alg of all)
      for (const kind of all) {
        const same =
          alg === kind ||
          (alg !== 'ES256' && alg !== 'PS256' && ALGORITHMS[kind].key.asymmetricKeyType === 'ed25519');
        expect([alg, kind, parseProofKey(alg, publicJwk(ALGORITHMS[kind].key)) !== undefined]).toEqual([
          alg,
          kind,
          same,
        ]);
      }
    const p384 = publicJwk(generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey);
    expect(all.map((alg) => parseProofKey(alg, p384))).toEqual(all.map(() => undefined));
  });
});
