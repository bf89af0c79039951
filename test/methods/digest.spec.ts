import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { createHash } from 'node:crypto';
import { constantTimeEqual } from '../../src/crypto/constant-time.js';
import { respondToChallenge, parseChallenges } from '../../src/methods/digest/digest.client.js';
import {
  computeHa1,
  computeResponse,
  computeUserhash,
  type DigestParameters,
} from '../../src/methods/digest/digest.js';
import { MalformedDigest, parseDigest, parseParameters } from '../../src/methods/digest/digest.parser.js';

const NO_BODY = Buffer.alloc(0);

describe('the vectors of RFC 7616', () => {
  const mufasa = {
    nonce: '7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v',
    uri: '/dir/index.html',
    qop: 'auth',
    nc: '00000001',
    cnonce: 'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ',
  } as const;

  it.each([
    ['SHA-256', '753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1'],
    ['MD5', '8ca523f5e9506fed4657c9700eebdbec'],
  ] as const)('section 3.9.1 with %s', (algorithm, response) => {
    const ha1 = computeHa1(algorithm, 'Mufasa', 'http-auth@example.org', 'Circle of Life');
    expect(computeResponse(ha1, { ...mufasa, algorithm }, 'GET', NO_BODY)).toBe(response);
  });

  describe('section 3.9.2 with SHA-512-256, a UTF-8 username and its hash', () => {
    const [name, realm, password] = ['J\u00e4s\u00f8n Doe', 'api@example.org', 'Secret, or not?'] as const;
    const challenge = {
      algorithm: 'SHA-512-256',
      nonce: '5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK',
      realm,
      qops: ['auth'],
      userhash: true,
      stale: false,
    } as const;
    const cnonce = 'NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v';
    const exchange = { ...challenge, uri: '/doe.json', qop: 'auth', nc: '00000001', cnonce } as const;

    /** The whole computation, with any hash function. */
    const compute = (hash: (text: string) => string) => ({
      username: hash(`${name}:${realm}`),
      response: hash(
        [
          hash(`${name}:${realm}:${password}`),
          challenge.nonce,
          '00000001',
          cnonce,
          'auth',
          hash('GET:/doe.json'),
        ].join(':'),
      ),
    });

    it('the RFC prints truncated SHA-512, which is not SHA-512/256 (FIPS 180-4; erratum 4897)', () => {
      const truncatedSha512 = (text: string) => createHash('sha512').update(text).digest('hex').slice(0, 64);
      expect(compute(truncatedSha512)).toEqual({
        username: '488869477bf257147b804c45308cd62ac4e25eb717b12b298c79e62dcea254ec',
        response: 'ae66e67d6b427bd3f120414a82e4acff38e8ecd9101d6c861229025f607a79dd',
      });
    });

    it('computes the corrected values with SHA-512/256', () => {
      const corrected = {
        username: '793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b',
        response: '3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5',
      };
      expect(compute((text) => createHash('sha512-256').update(text).digest('hex'))).toEqual(corrected);
      const ha1 = computeHa1('SHA-512-256', name, realm, password);
      expect({
        username: computeUserhash('SHA-512-256', name, realm),
        response: computeResponse(ha1, exchange, 'GET', NO_BODY),
      }).toEqual(corrected);
      const field = respondToChallenge(name, password, challenge, {
        method: 'GET',
        uri: '/doe.json',
        cnonce,
      });
      expect(parseDigest(field)).toMatchObject({ ...corrected, realm, cnonce, userhash: true });
    });

    it('normalizes Unicode (section 4)', () => {
      const decomposed = name.normalize('NFD');
      expect(decomposed).not.toBe(name);
      expect(computeUserhash('SHA-512-256', decomposed, realm)).toBe(
        computeUserhash('SHA-512-256', name, realm),
      );
      expect(computeHa1('SHA-512-256', decomposed, realm, password)).toBe(
        computeHa1('SHA-512-256', name, realm, password),
      );
    });

    it('sends an unhashed username as username*', () => {
      const plain = { ...challenge, userhash: false };
      const field = respondToChallenge(name, password, plain, { method: 'GET', uri: '/doe.json', cnonce });
      expect(field).toContain("username*=UTF-8''J%C3%A4s%C3%B8n%20Doe,");
      expect(parseDigest(field)).toMatchObject({ username: name, userhash: false });
    });
  });

  it('auth-int covers the body (section 3.4.3); the RFC has no example', () => {
    const hash = (text: string) => createHash('sha256').update(text).digest('hex');
    const ha1 = hash('Mufasa:http-auth@example.org:Circle of Life');
    const { nonce, nc, cnonce, uri } = mufasa;
    const by = (method: string, body: string) => {
      const ha2 = hash(`${method}:${uri}:${hash(body)}`);
      return hash(`${ha1}:${nonce}:${nc}:${cnonce}:auth-int:${ha2}`);
    };
    const exchange = { ...mufasa, algorithm: 'SHA-256', qop: 'auth-int' } as const;
    for (const [method, body] of [
      ['POST', '{"a":1}'],
      ['GET', ''],
      ['', 'a response'],
    ] as const)
      expect(computeResponse(ha1, exchange, method, Buffer.from(body))).toBe(by(method, body));
  });
});

describe('a response', () => {
  const piece = fc.string({ unit: fc.constantFrom(':', '/', 'a', '"'), maxLength: 4 });
  const request = fc.record({
    method: fc.constantFrom('GET', 'PUT', ''),
    body: fc.constantFrom('', ':', 'a'),
    uri: piece.map((rest) => `/${rest}`),
    qop: fc.constantFrom('auth', 'auth-int') as fc.Arbitrary<DigestParameters['qop']>,
    nc: fc.constantFrom('00000001', '00000002'),
    cnonce: piece,
    nonce: fc.constantFrom('n', 'm'),
  });
  /** The covered parts: `auth` does not cover the body. */
  const covered = ({ body, ...rest }: { qop: string; body: string }) =>
    JSON.stringify([rest, rest.qop === 'auth-int' && body]);

  it('differs for different requests', () => {
    const of = ({ method, body, ...exchange }: typeof request extends fc.Arbitrary<infer T> ? T : never) =>
      computeResponse('0'.repeat(64), { ...exchange, algorithm: 'SHA-256' }, method, Buffer.from(body));
    fc.assert(
      fc.property(
        request,
        request,
        (one, other) => (of(one) === of(other)) === (covered(one) === covered(other)),
      ),
      { numRuns: 20_000 },
    );
  });

  it('is rejected if any digit or the length differs', () => {
    const hash = computeHa1('SHA-256', 'a', 'b', 'c');
    expect(constantTimeEqual(hash, hash)).toBe(true);
    for (let i = 0; i < hash.length; i++)
      expect(constantTimeEqual(`${hash.slice(0, i)}x${hash.slice(i + 1)}`, hash)).toBe(false);
    for (const other of ['', hash.slice(1), `${hash}0`]) expect(constantTimeEqual(other, hash)).toBe(false);
  });
});

describe('the parser of the Authorization header', () => {
  const bytes = fc.string({
    unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
  });
  const good = respondToChallenge(
    'bob',
    'x',
    { algorithm: 'SHA-256', nonce: 'n', realm: 'r', qops: ['auth'], userhash: false, stale: false },
    { method: 'GET', uri: '/' },
  );
  const outcome = (field: string) => {
    try {
      return parseDigest(field);
    } catch (error) {
      expect(error).toBeInstanceOf(MalformedDigest);
      return undefined;
    }
  };

  it('returns credentials or throws MalformedDigest, for any bytes', () => {
    const parts = fc.constantFrom(
      ...good.split(/([ ,="]+)/),
      '\\',
      '"',
      "username*=UTF-8''%c3%b6",
      'nc=',
      '%ff',
    );
    const fields = fc.oneof(
      bytes.map((text) => `Digest ${text}`),
      fc.array(fc.oneof(parts, bytes), { maxLength: 40 }).map((texts) => `Digest ${texts.join('')}`),
      fc
        .tuple(fc.nat(good.length), fc.nat(4), bytes)
        .map(([at, cut, text]) => good.slice(0, at) + text + good.slice(at + cut)),
    );
    fc.assert(
      fc.property(fields, (field) => {
        const response = outcome(field);
        if (!response) return;
        expect(response.nc).toMatch(/^[\da-f]{8}$/);
        expect(response.cnonce).not.toMatch(/["\\\s]/);
        expect(response.username).toBe(Buffer.from(response.username).toString());
      }),
      { numRuns: 20_000 },
    );
  });

  it('parses what was formatted, for any values', () => {
    const text = fc.string({
      unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)),
    });
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), text, text, (username, realm, nonce) => {
        const challenge = { algorithm: 'SHA-256', qops: ['auth'], userhash: false, stale: false } as const;
        const uri = '/a?b="c\\';
        const field = respondToChallenge(
          username,
          'x',
          { ...challenge, realm, nonce },
          { method: 'GET', uri },
        );
        expect(parseDigest(field)).toMatchObject({ username, realm, nonce, uri });
      }),
      { numRuns: 10_000 },
    );
  });

  it('rejects invalid UTF-8, a hashed username*, and a response of another length', () => {
    const changed = (from: string | RegExp, to: string) => good.replace(from, to);
    const digits = 'a'.repeat(64);
    const response = /response="[^"]+"/;
    for (const field of [
      changed('"bob"', '"b\xf6b"'),
      changed('username="bob"', "username*=UTF-8''b%f6b"),
      changed('username="bob"', `username*=UTF-8''${digits}, userhash=true`),
      ...[digits.slice(1), `${digits}a`, digits.slice(32), digits.toUpperCase(), ''].map((other) =>
        changed(response, `response="${other}"`),
      ),
    ])
      expect(outcome(field)).toBeUndefined();
    expect(outcome(changed(response, `response="${digits}"`))?.response).toBe(digits);
  });

  it('parses the worst cases in linear time', () => {
    const most = 12 * 1024 - 10;
    for (const text of [
      ','.repeat(most),
      `a=${' '.repeat(most)}`,
      `a=${' '.repeat(most - 10)}x,`,
      `a="${'\\'.repeat(most)}`,
      `a="${'\\"'.repeat(most / 2)}`,
      'a'.repeat(most),
      `a${'\t'.repeat(most)}`,
      'a=a,'.repeat(most / 4),
      `a="${'a'.repeat(most)}`,
    ])
      for (let i = 0; i < 200; i++) expect(outcome(`Digest ${text}`)).toBeUndefined();
  });

  it('rejects duplicate and too many parameters', () => {
    const names = (count: number) => Array.from({ length: count }, (_, i) => `p${i}=1`).join(',');
    expect(parseParameters(names(32)).size).toBe(32);
    expect(() => parseParameters(names(33))).toThrow(MalformedDigest);
    expect(() => parseParameters('a=1, A=1')).toThrow(MalformedDigest);
    expect([...parseParameters('A="b\\"c\\\\", , d = e ,')]).toEqual([
      ['a', 'b"c\\'],
      ['d', 'e'],
    ]);
  });
});

describe('the parser of the WWW-Authenticate header', () => {
  it('returns the Digest challenges among those of other schemes', () => {
    const field =
      'ApiKey realm="a, Digest realm=\\"b\\"", Digest realm="a,\\"b", qop="auth, auth-int", algorithm=SHA-256, ' +
      'nonce="n=", userhash=true, Basic realm="x", Digest realm="old", nonce="m", Digest realm="c", ' +
      'algorithm=SHA-512-256, nonce="o", qop="auth", stale=true, Negotiate';
    expect(parseChallenges(field)).toEqual([
      {
        algorithm: 'SHA-256',
        nonce: 'n=',
        realm: 'a,"b',
        qops: ['auth', 'auth-int'],
        userhash: true,
        stale: false,
      },
      { algorithm: 'SHA-512-256', nonce: 'o', realm: 'c', qops: ['auth'], userhash: false, stale: true },
    ]);
  });
});
