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
import { KINDS, encode, forge, otherSignature, publicJwk, signed } from './dpop.forge.js';

const RUNS = { numRuns: 10_000 };
const { key } = KINDS.ES256;
const HEADER = encode({ typ: 'dpop+jwt', alg: 'ES256', jwk: publicJwk(key) });
const now = Math.floor(Date.now() / 1000);

/** Of the same kinds as those that sign. */
const ANOTHER = {
  ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
  Ed25519: KINDS.EdDSA.key,
  EdDSA: KINDS.Ed25519.key,
  PS256: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
};

const refusedAs = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidProof);
    return (error as InvalidProof).message;
  }
  throw new Error('it was not refused');
};

async function isSigned(text: string): Promise<boolean> {
  const { key: proofKey, signingInput, signature } = parseProof(text);
  const publicKey = importProofKey(proofKey);
  return publicKey !== undefined && verifySignature(proofKey.algorithm, publicKey, signingInput, signature);
}

describe('DPOP-23: the proofs that RFC 9449 prints', () => {
  const head =
    'eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19';
  const TOKEN = 'Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU';

  it.each([
    [
      'with a token request (section 5)',
      'eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg',
      { method: 'POST', uris: ['https://server.example.com/token'], now: 1_562_262_616 },
      'it is for another access token',
    ],
    [
      'with a refresh (section 5)',
      'eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjY1Mjk2fQ.pAqut2IRDm_De6PR93SYmGBPXpwrAk90e8cP2hjiaG5QsGSuKDYW7_X620BxqhvYC8ynrrvZLTk41mSRroapUA',
      { method: 'POST', uris: ['https://server.example.com/token'], now: 1_562_265_296 },
      'it is for another access token',
    ],
    [
      'with a request for a resource (section 7.1)',
      'eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA',
      { method: 'GET', uris: ['https://resource.example.org/protectedresource'], now: 1_562_262_618 },
      undefined,
    ],
  ] as const)('%s verifies, and today it is too old', async (_, rest, expected, fault) => {
    const proof = parseProof(`${head}.${rest}`);
    expect(proof.key.thumbprint).toBe('0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I');
    expect(await isSigned(`${head}.${rest}`)).toBe(true);
    expect(proofFault(proof.claims, { ...expected, accessToken: TOKEN })).toBe(fault);
    expect(proofFault(proof.claims, { ...expected, accessToken: TOKEN, now })).toBe(
      'it was not made in these minutes',
    );
  });
});

describe('a proof', () => {
  it('of the client is one to this server, and to jose', async () => {
    const proof = dpopProof(key, {
      method: 'GET',
      url: 'https://api.example.com/me?a=1#b',
      nonce: 'n',
      accessToken: 't',
    });
    expect(await isSigned(proof)).toBe(true);
    const { claims } = parseProof(proof);
    expect(claims).toMatchObject({ htm: 'GET', htu: 'https://api.example.com/me', nonce: 'n' });
    const { payload } = await jwtVerify(proof, EmbeddedJWK, { typ: 'dpop+jwt' });
    expect(payload).toMatchObject({ ath: accessTokenHash('t'), jti: claims.jti });
  });

  it.each(PROOF_ALGORITHMS)('by %s is good, and its thumbprint is that of RFC 7638', async (kind) => {
    const { key: own } = KINDS[kind];
    const proof = forge({ key: own, kind });
    expect(await isSigned(proof)).toBe(true);
    expect(parseProof(proof).key.thumbprint).toBe(await calculateJwkThumbprint(publicJwk(own)));
  });

  it.each(PROOF_ALGORITHMS)(
    'by %s is not signed where the signature is of another text or of another key',
    async (kind) => {
      const { key: own } = KINDS[kind];
      const [, , signature] = forge({ key: own, kind }).split('.');
      expect(await isSigned(forge({ key: own, kind, signature: signature! }))).toBe(false);
      expect(await isSigned(forge({ key: own, kind, signature: 'AA' }))).toBe(false);
      const jwk = publicJwk(ANOTHER[kind]);
      expect(await isSigned(forge({ key: own, kind, header: { jwk } }))).toBe(false);
    },
  );

  it('may be written with space, escapes, and claims of its own', async () => {
    const header = JSON.stringify({ typ: 'dpop+jwt', alg: 'ES256', jwk: publicJwk(key) }, undefined, 2);
    const payload = `{ "iat": ${now}.25, "jti": "a", "htm": "GET", "htu": "https:\\/\\/h\\/", "more": { "jti": ["\\"jti\\":", {}] } }`;
    const proof = signed(`${encode(header)}.${encode(payload)}`, key);
    expect(await isSigned(proof)).toBe(true);
    expect(parseProof(proof).claims).toMatchObject({ htu: 'https://h/', iat: now + 0.25 });
  });

  const good = forge({ key });
  const [head = '', payload = '', signature = ''] = good.split('.');
  const otherEnd = (part: string) =>
    part.slice(0, -1) + String.fromCharCode(part.charCodeAt(part.length - 1) + 1);
  it.each([
    ['nothing', ''],
    ['two parts', `${head}.${payload}`],
    ['four parts', `${good}.${signature}`],
    ['no signature', `${head}.${payload}.`],
    ['DPOP-04: two, joined', `${good}, ${good}`],
    ['DPOP-08: padded', `${good}==`],
    ['DPOP-08: with a space before it', ` ${good}`],
    ['DPOP-08: with a line break', `${good}\n`],
    ['DPOP-08: with an end that says the same', otherEnd(good)],
    ['DPOP-08: in base64', `${head}.${payload}.${signature.slice(0, -2)}+/`],
    ['JSON serialisation', JSON.stringify({ protected: head, payload, signature })],
    ['too long', `${head}.${'A'.repeat(8_192)}.${signature}`],
  ])('that is %s is refused', (_, text) => {
    expect(refusedAs(() => parseProof(text))).toMatch(/not one JWT|too long/);
  });

  const claims = '"jti":"a","htm":"GET","htu":"https://h/","iat":1';
  const bytes = (text: string) => Buffer.from(text, 'latin1');
  it.each([
    ['no JSON', '{', 'it holds no JSON'],
    ['an array', '[]', 'it holds no JSON object'],
    ['nothing', 'null', 'it holds no JSON object'],
    ['a text', '"a"', 'it holds no JSON object'],
    ['no UTF-8', bytes(`{${claims},"a":"\xff"}`), 'it holds no JSON'],
    ['UTF-8 in a longer spelling', bytes(`{${claims},"a":"\xc1\xa1"}`), 'it holds no JSON'],
    ['marked with a byte order', `\ufeff{${claims}}`, 'it holds no JSON'],
    ['twice of a name', `{${claims},"jti":"b"}`, 'a name came twice'],
    ['twice of a name, in two spellings', `{${claims},"\\u006ati" : "b"}`, 'a name came twice'],
    ['twice of a name further down', `{${claims},"a":[{"b":1,"b":2}]}`, 'a name came twice'],
    ['twice of the name of all prototypes', `{${claims},"__proto__":1,"__proto__":2}`, 'a name came twice'],
    ['empty', '{}', 'jti is missing'],
  ])('whose payload is %s is refused', (_, text, reason) => {
    const encoded = Buffer.from(text as string).toString('base64url');
    expect(refusedAs(() => parseProof(signed(`${HEADER}.${encoded}`, key)))).toBe(reason);
  });

  it('whose payload is nested endlessly is read, or refused, and no more', () => {
    const nested = `{${claims},"a":${'['.repeat(2_700)}${']'.repeat(2_700)}}`;
    try {
      parseProof(signed(`${HEADER}.${encode(nested)}`, key));
    } catch (error) {
      expect((error as Error).message).toBe('it holds no JSON');
      expect(error).toBeInstanceOf(InvalidProof);
    }
  });

  it.each(['JWT', 'dpop', 'DPOP+JWT', 'at+jwt', 'application/dpop+jwt', undefined, null, ['dpop+jwt']])(
    'DPOP-15: whose typ is %j is refused',
    (typ) => expect(refusedAs(() => parseProof(forge({ key, header: { typ } })))).toMatch('typ'),
  );

  it.each([
    ...['none', 'HS256', 'RS256', 'ES384', 'ES256K', 'es256', 'toString', '__proto__', '', undefined, 1],
  ])('DPOP-16: whose alg is %j is refused', (alg) => {
    expect(refusedAs(() => parseProof(forge({ key, header: { alg } })))).toMatch('alg');
  });

  const jwk = publicJwk(key);
  const rsa = publicJwk(KINDS.PS256.key);
  const okp = publicJwk(KINDS.Ed25519.key);
  it.each([
    ['missing', 'ES256', undefined],
    ['a text', 'ES256', 'jwk'],
    ['a list', 'ES256', [jwk]],
    ['empty', 'ES256', {}],
    ['private', 'ES256', { ...jwk, d: 'AA' }],
    ['private, of RSA', 'PS256', { ...rsa, p: 'AA', q: 'AA' }],
    ['private, and empty', 'ES256', { ...jwk, d: '' }],
    ['symmetric', 'ES256', { kty: 'oct', k: 'c2VjcmV0' }],
    ['symmetric as well', 'ES256', { ...jwk, k: 'c2VjcmV0' }],
    ['with a certificate', 'ES256', { ...jwk, x5c: ['AA'] }],
    ['of another curve', 'ES256', { ...jwk, crv: 'P-384' }],
    ['of another type', 'ES256', { ...jwk, kty: 'OKP' }],
    ['of another algorithm', 'PS256', jwk],
    ['without a member', 'ES256', { ...jwk, y: undefined }],
    ['padded', 'ES256', { ...jwk, x: `${jwk['x']}=` }],
    ['cut off', 'ES256', { ...jwk, x: jwk['x']!.slice(0, -2) }],
    ['no numbers', 'ES256', { ...jwk, x: 1 }],
    ['of an RSA key that is too short', 'PS256', { ...rsa, n: rsa['n']!.slice(0, 171) }],
    ['of an RSA key that is too long', 'PS256', { ...rsa, n: Buffer.alloc(513, 255).toString('base64url') }],
    ['of an RSA key with a zero before it', 'PS256', { ...rsa, n: encodeBytes(0, rsa['n']!) }],
    ['of an RSA key by which everybody signs', 'PS256', { ...rsa, e: 'AQ' }],
    ['of an RSA key with a small exponent', 'PS256', { ...rsa, e: 'Aw' }],
    ['of an RSA key with its exponent in another spelling', 'PS256', { ...rsa, e: 'AAEAAQ' }],
    ['of Ed448', 'EdDSA', { ...okp, crv: 'Ed448' }],
    ['of X25519', 'EdDSA', { ...okp, crv: 'X25519' }],
  ])('DPOP-17: whose jwk is %s is refused', (_, alg, value) => {
    expect(refusedAs(() => parseProof(forge({ key, header: { alg, jwk: value } })))).toMatch('jwk');
  });

  it('DPOP-17: whose jwk says what it is for is as good', async () => {
    const said = { ...jwk, alg: 'ES256', use: 'sig', key_ops: ['verify'], kid: 'mine', ext: true };
    const proof = forge({ key, header: { jwk: said } });
    expect(await isSigned(proof)).toBe(true);
    expect(parseProof(proof).key).toEqual(parseProof(good).key);
  });

  it.each([
    { kid: 'of-another' },
    { x5u: 'https://attacker.example' },
    { jku: 'https://attacker.example' },
    { crit: ['exp'], exp: 1 },
    { b64: false, crit: ['b64'] },
    { zip: 'DEF' },
  ])('DPOP-17: whose header has %j as well is refused', (header) => {
    expect(refusedAs(() => parseProof(forge({ key, header })))).toMatch('header');
  });

  it('whose numbers are no key is by nobody', async () => {
    const swapped = parseProofKey('ES256', { ...jwk, x: jwk['y'], y: jwk['x'] });
    expect(importProofKey(swapped!)).toBeUndefined();
    // 256 bytes, and the first bit is zero: 2047 bits.
    const short = Buffer.from(rsa['n']!, 'base64url');
    short[0] = 0x7f;
    expect(
      importProofKey(parseProofKey('PS256', { ...rsa, n: short.toString('base64url') })!),
    ).toBeUndefined();
    expect(await isSigned(forge({ key, header: { jwk: { ...jwk, x: jwk['y'], y: jwk['x'] } } }))).toBe(false);
  });

  it('by an Ed25519 key for which everybody can sign is refused, although OpenSSL takes it', () => {
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
    ['DPOP-09: an endless jti', { jti: 'j'.repeat(256) }],
    ['no htm', { htm: undefined }],
    ['several htm', { htm: ['GET', 'POST'] }],
    ['no htu', { htu: undefined }],
    ['several htu', { htu: ['https://api.example.com/demo/dpop'] }],
    ['no iat', { iat: undefined }],
    ['an iat that is a text', { iat: String(now) }],
    ['an exp that is a text', { exp: '9' }],
    ['an nbf that is a text', { nbf: '1' }],
    ['an ath that is none', { ath: 1 }],
    ['a nonce that is none', { nonce: ['a'] }],
  ])('with %s is refused', (_, claims) => {
    refusedAs(() => parseProof(forge({ key, claims })));
  });

  it('with an iat beyond all numbers is refused', () => {
    const payloads = [`{"jti":"a","htm":"GET","htu":"h","iat":1e999}`];
    for (const text of payloads)
      expect(refusedAs(() => parseProof(signed(`${HEADER}.${encode(text)}`, key)))).toMatch('iat');
  });

  it('DPOP-08: has another signature that is as good, under the same jti', async () => {
    const other = otherSignature(good);
    expect(other).not.toBe(good);
    expect(await isSigned(other)).toBe(true);
    expect(parseProof(other).claims.jti).toBe(parseProof(good).claims.jti);
  });

  it('by DER, in which a signature has many spellings, is not signed', async () => {
    const bytes = Buffer.from(signature, 'base64url');
    const integer = (number: Buffer) => {
      const trimmed = number.subarray(number.findIndex((byte) => byte !== 0));
      const padded = trimmed[0]! & 0x80 ? Buffer.concat([Buffer.of(0), trimmed]) : trimmed;
      return Buffer.concat([Buffer.of(2, padded.length), padded]);
    };
    const both = Buffer.concat([integer(bytes.subarray(0, 32)), integer(bytes.subarray(32))]);
    const der = Buffer.concat([Buffer.of(0x30, both.length), both]).toString('base64url');
    expect(await isSigned(`${head}.${payload}.${der}`)).toBe(false);
    expect(await isSigned(`${head}.${payload}.${Buffer.alloc(64).toString('base64url')}`)).toBe(false);
  });

  it('no text makes the reader do anything but read or refuse', () => {
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

  it('whatever is read has one spelling: one letter more, less or otherwise is refused, or says something else', async () => {
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

/** A number with a byte before it. */
function encodeBytes(first: number, number: string): string {
  return Buffer.concat([Buffer.of(first), Buffer.from(number, 'base64url').subarray(0, 255)]).toString(
    'base64url',
  );
}

describe('what a proof is for', () => {
  const uri = 'https://api.example.com/demo/dpop';
  const token = 'access-token';
  const fault = (claims: object, expected: object = {}) =>
    proofFault(parseProof(forge({ key, claims: { iat: now, ...claims }, accessToken: token })).claims, {
      method: 'GET',
      uris: [uri],
      accessToken: token,
      now,
      ...expected,
    });

  it('is this request', () => expect(fault({})).toBeUndefined());

  it.each(['POST', 'get', 'GET ', 'HEAD'])('and not one by %j', (htm) =>
    expect(fault({ htm })).toBe('it is for another method'),
  );

  it.each(['https://api.example.com/demo', 'nowhere', 'https://api.example.com/demo/dpop/'])(
    'and not one at %j',
    (htu) => expect(fault({ htu })).toBe('it is for another URI'),
  );

  it('may be called by several names', () => {
    expect(fault({}, { uris: ['http://127.0.0.1:3000/demo/dpop', uri] })).toBeUndefined();
    expect(fault({}, { uris: [] })).toBe('it is for another URI');
    expect(fault({ htu: 'nowhere' }, { uris: [] })).toBe('it is for another URI');
  });

  it.each([-MAX_CLOCK_SKEW_SECONDS, MAX_CLOCK_SKEW_SECONDS, 0.5])('made %d seconds from now', (seconds) =>
    expect(fault({ iat: now + seconds })).toBeUndefined(),
  );

  it.each([-MAX_CLOCK_SKEW_SECONDS - 1, MAX_CLOCK_SKEW_SECONDS + 1, -1e300, 1e300, -now])(
    'and not %d seconds from now',
    (seconds) => expect(fault({ iat: now + seconds })).toBe('it was not made in these minutes'),
  );

  it.each([
    [{ exp: now + 1 }, undefined],
    [{ exp: now }, 'it has expired'],
    [{ exp: 0 }, 'it has expired'],
    [{ nbf: now + MAX_CLOCK_SKEW_SECONDS }, undefined],
    [{ nbf: now + MAX_CLOCK_SKEW_SECONDS + 1 }, 'it is not good yet'],
    [{ nbf: now - 1, exp: now + 60 }, undefined],
  ])('DPOP-14: of %j: %s', (claims, expected) => expect(fault(claims)).toBe(expected));

  it.each([undefined, '', accessTokenHash('another'), `${accessTokenHash(token)}=`, token])(
    'DPOP-19: and not one whose ath is %j',
    (ath) => expect(fault({ ath })).toBe('it is for another access token'),
  );
});

describe('DPOP-11: a URI', () => {
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
  ])('%s is the same', (text) => expect(normalizeUri(text)).toBe(normal));

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
  ])('%s is another', (text) => {
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
  ])('%j is none', (text) => expect(normalizeUri(text)).toBeUndefined());

  it('has the path / where it has none', () => {
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

  it('is normal once it was made so', () => {
    fc.assert(
      fc.property(origin, path, (at, to) => {
        const once = normalizeUri(at + to)!;
        expect(normalizeUri(once)).toBe(once);
      }),
      RUNS,
    );
  });

  it('is the same as another exactly where they are for URL, once what is needlessly encoded is decoded', () => {
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

  it('of any text is one, or none', () => {
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

  it('is good for two minutes, on every process, and asks for the next one in the second of them', () => {
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

  it('consists of what may stand in a header and in a proof (RFC 9449, section 8.1)', () => {
    expect(nonces.issue()).toMatch(/^[\x21\x23-\x5b\x5d-\x7e]+$/);
  });

  it('outlives a rotation of APP_SECRET', () => {
    const nonce = nonces.issue(at);
    const APP_SECRET = 'another secret of thirty-two letters';
    const rotated = settings({ APP_SECRET, APP_SECRET_PREVIOUS: 'one secret of thirty-two characters' });
    expect(dpopNonces(rotated).verify(nonce, at)).toBeDefined();
    expect(dpopNonces(settings({ APP_SECRET })).verify(nonce, at)).toBeUndefined();
  });

  it('DPOP-20: of another server is none, though it has the same secret', () => {
    const other = dpopNonces(settings({ PUBLIC_URL: 'https://other.example.com' }));
    expect(nonces.verify(other.issue(at), at)).toBeUndefined();
  });

  it('DPOP-20: that was altered is none, nor any other text', () => {
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
  it('each take the keys of their own kind', () => {
    const all: readonly ProofAlgorithm[] = PROOF_ALGORITHMS;
    for (const alg of all)
      for (const kind of all) {
        const same =
          alg === kind ||
          (alg !== 'ES256' && alg !== 'PS256' && KINDS[kind].key.asymmetricKeyType === 'ed25519');
        expect([alg, kind, parseProofKey(alg, publicJwk(KINDS[kind].key)) !== undefined]).toEqual([
          alg,
          kind,
          same,
        ]);
      }
    const p384 = publicJwk(generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey);
    expect(all.map((alg) => parseProofKey(alg, p384))).toEqual(all.map(() => undefined));
  });
});
