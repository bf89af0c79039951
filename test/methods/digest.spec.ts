import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { createHash } from 'node:crypto';
import { respondToChallenge, parseChallenges } from '../../src/methods/digest/digest.client.js';
import { computeHa1, computeResponse, sameHash, computeUserhash, type DigestParameters } from '../../src/methods/digest/digest.js';
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
  ] as const)('section 3.9.1, by %s', (algorithm, response) => {
    const ha1 = computeHa1(algorithm, 'Mufasa', 'http-auth@example.org', 'Circle of Life');
    expect(computeResponse(ha1, { ...mufasa, algorithm }, 'GET', NO_BODY)).toBe(response);
  });

  describe('section 3.9.2, by SHA-512-256, with a name in UTF-8 and its hash', () => {
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

    /** The whole computation, spelt out, by a hash of one's choice. */
    const spelt = (hash: (text: string) => string) => ({
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

    it('the RFC prints SHA-512 cut to half its length, which is not SHA-512/256 (FIPS 180-4; erratum 4897)', () => {
      const cut = (text: string) => createHash('sha512').update(text).digest('hex').slice(0, 64);
      expect(spelt(cut)).toEqual({
        username: '488869477bf257147b804c45308cd62ac4e25eb717b12b298c79e62dcea254ec',
        response: 'ae66e67d6b427bd3f120414a82e4acff38e8ecd9101d6c861229025f607a79dd',
      });
    });

    it('by SHA-512/256 it is this', () => {
      const corrected = {
        username: '793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b',
        response: '3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5',
      };
      expect(spelt((text) => createHash('sha512-256').update(text).digest('hex'))).toEqual(corrected);
      const ha1 = computeHa1('SHA-512-256', name, realm, password);
      expect({
        username: computeUserhash('SHA-512-256', name, realm),
        response: computeResponse(ha1, exchange, 'GET', NO_BODY),
      }).toEqual(corrected);
      const field = respondToChallenge(name, password, challenge, { method: 'GET', uri: '/doe.json', cnonce });
      expect(parseDigest(field)).toMatchObject({ ...corrected, realm, cnonce, userhash: true });
    });

    it('is the same where the letters are composed otherwise (section 4)', () => {
      const apart = name.normalize('NFD');
      expect(apart).not.toBe(name);
      expect(computeUserhash('SHA-512-256', apart, realm)).toBe(computeUserhash('SHA-512-256', name, realm));
      expect(computeHa1('SHA-512-256', apart, realm, password)).toBe(computeHa1('SHA-512-256', name, realm, password));
    });

    it('the name travels as username* where it is not hashed', () => {
      const plain = { ...challenge, userhash: false };
      const field = respondToChallenge(name, password, plain, { method: 'GET', uri: '/doe.json', cnonce });
      expect(field).toContain("username*=UTF-8''J%C3%A4s%C3%B8n%20Doe,");
      expect(parseDigest(field)).toMatchObject({ username: name, userhash: false });
    });
  });

  it('auth-int adds the hash of the body (section 3.4.3), of which the RFC prints no example', () => {
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
      ['', 'an answer'],
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
  /** `auth` does not cover the body. */
  const meaning = ({ body, ...rest }: { qop: string; body: string }) =>
    JSON.stringify([rest, rest.qop === 'auth-int' && body]);

  it('is never that of another request', () => {
    const of = ({ method, body, ...exchange }: typeof request extends fc.Arbitrary<infer T> ? T : never) =>
      computeResponse('0'.repeat(64), { ...exchange, algorithm: 'SHA-256' }, method, Buffer.from(body));
    fc.assert(
      fc.property(
        request,
        request,
        (one, other) => (of(one) === of(other)) === (meaning(one) === meaning(other)),
      ),
      { numRuns: 20_000 },
    );
  });

  it('is equal to another only in every digit', () => {
    const hash = computeHa1('SHA-256', 'a', 'b', 'c');
    expect(sameHash(hash, hash)).toBe(true);
    for (let i = 0; i < hash.length; i++)
      expect(sameHash(`${hash.slice(0, i)}x${hash.slice(i + 1)}`, hash)).toBe(false);
    for (const other of ['', hash.slice(1), `${hash}0`]) expect(sameHash(other, hash)).toBe(false);
  });
});

describe('what is read of an Authorization field', () => {
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

  it('is an answer or a refusal, whatever the bytes', () => {
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
        const answer = outcome(field);
        if (!answer) return;
        expect(answer.nc).toMatch(/^[\da-f]{8}$/);
        expect(answer.cnonce).not.toMatch(/["\\\s]/);
        expect(answer.username).toBe(Buffer.from(answer.username).toString());
      }),
      { numRuns: 20_000 },
    );
  });

  it('is what was written, whatever the values', () => {
    const text = fc.string({
      unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)),
    });
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), text, text, (username, realm, nonce) => {
        const challenge = { algorithm: 'SHA-256', qops: ['auth'], userhash: false, stale: false } as const;
        const uri = '/a?b="c\\';
        const field = respondToChallenge(username, 'x', { ...challenge, realm, nonce }, { method: 'GET', uri });
        expect(parseDigest(field)).toMatchObject({ username, realm, nonce, uri });
      }),
      { numRuns: 10_000 },
    );
  });

  it('is refused where a name is no UTF-8, is both hashed and extended, or a response is of another length', () => {
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

  it('takes no longer than it is long: every character is looked at a few times at most', () => {
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

  it('has each parameter once, whatever its case, and no more than it needs', () => {
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

describe('what a client reads of a WWW-Authenticate field', () => {
  it('are the Digest challenges among others, whatever stands in their strings', () => {
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
