import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { parse } from 'node:querystring';
import { constantTimeEqual } from '../../src/crypto/constant-time.js';
import {
  canonicalTarget,
  formatAuthorization,
  sign,
  newKeyId,
  newSecret,
  parseAuthorization,
  stringToSign,
  type HmacAuthorization,
  type SignedRequest,
} from '../../src/methods/hmac/hmac.js';

const RUNS = { numRuns: 10_000 };

const bytes = (hex: string) => Buffer.from(hex, 'hex');

describe('hmac: the signature', () => {
  // RFC 4231 section 4. It truncates the fifth to 128 bits.
  it.each([
    [
      1,
      '0b'.repeat(20),
      '4869205468657265',
      'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7',
    ],
    [
      2,
      '4a656665',
      '7768617420646f2079612077616e7420666f72206e6f7468696e673f',
      '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
    ],
    [3, 'aa'.repeat(20), 'dd'.repeat(50), '773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe'],
    [
      4,
      '0102030405060708090a0b0c0d0e0f10111213141516171819',
      'cd'.repeat(50),
      '82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b',
    ],
    [5, '0c'.repeat(20), '546573742057697468205472756e636174696f6e', 'a3b6167473100ee06e0c796c2955552b'],
    [
      6,
      'aa'.repeat(131),
      '54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a65204b6579202d2048617368204b6579204669727374',
      '60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54',
    ],
    [
      7,
      'aa'.repeat(131),
      '5468697320697320612074657374207573696e672061206c6172676572207468616e20626c6f636b2d73697a65206b657920616e642061206c6172676572207468616e20626c6f636b2d73697a6520646174612e20546865206b6579206e6565647320746f20626520686173686564206265666f7265206265696e6720757365642062792074686520484d414320616c676f726974686d2e',
      '9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2',
    ],
  ])('equals the HMAC-SHA256 of RFC 4231, test case %i', (_, key, data, mac) => {
    expect(sign(bytes(key), bytes(data).toString('latin1')).slice(0, mac.length)).toBe(mac);
  });

  it('is rejected if only its first digits are correct', () => {
    const right = sign('secret', 'text');
    for (let digits = 0; digits < right.length; digits++) {
      const next = right[digits] === '0' ? '1' : '0';
      expect(constantTimeEqual(right.slice(0, digits) + next.repeat(64 - digits), right)).toBe(false);
    }
    expect(constantTimeEqual(right, right)).toBe(true);
  });

  it('is rejected with another length or spelling, without an exception', () => {
    const right = sign('secret', 'text');
    for (const given of [
      '',
      right[0]!,
      right.slice(0, 32),
      right.slice(0, -1),
      `${right}0`,
      `${right}\0`,
      right + right,
      right.toUpperCase(),
      bytes(right).toString('base64'),
      Buffer.from(right).toString('base64'),
      bytes(right).toString('latin1'),
    ])
      expect(constantTimeEqual(given, right)).toBe(false);
  });

  it('equals the one on the page, for the text on the page', () => {
    const page = readFileSync('docs/methods/hmac.md', 'utf8');
    const sent = parseAuthorization(/^Authorization: (.*)$/m.exec(page)![1]!)!;
    const [, text = ''] = /```text\n(HMAC-SHA256\n[\s\S]*?\n)```/.exec(page)!;
    const made = stringToSign({
      ...sent,
      audience: 'http://localhost:3000',
      method: 'POST',
      authority: 'localhost:3000',
      target: '/documents',
      body: Buffer.from('{"title":"signed"}'),
      fields: [['content-type', 'application/json']],
    });
    expect(made).toBe(text);
    expect(sent.signature).toBe(sign('atlas_hmac_PublishedSoNeverUsedOutsideOfTheDemo0000001', text));
  });
});

describe('hmac: the string to sign', () => {
  /** Few characters, so that generated parts are often equal. */
  const value = fc.string({ unit: fc.constantFrom(':', ' ', 'a', '/', '0', 'é', '"', '%'), maxLength: 6 });
  const target = fc
    .string({ unit: fc.constantFrom('?', '&', '=', 'a', 'b', '+', '%41', '%26', '/', '%'), maxLength: 8 })
    .map((text) => `/${text}`);
  const signed: fc.Arbitrary<SignedRequest> = fc.record({
    id: value,
    timestamp: value,
    nonce: value,
    audience: value,
    method: value,
    authority: value,
    target,
    body: fc.uint8Array({ maxLength: 2 }),
    fields: fc.array(fc.tuple(fc.constantFrom('a', 'b', 'content-type'), value), { maxLength: 3 }),
  });

  it('can be parsed back into the request, so two requests never share one', () => {
    fc.assert(
      fc.property(signed, (request) => {
        const lines = stringToSign(request).split('\n');
        expect(lines.pop()).toBe('');
        const [scheme, audience, id, timestamp, nonce, method, authority, canonical, digest, ...rest] = lines;
        const fields = rest.map((line) => {
          const colon = line.indexOf(':');
          return [line.slice(0, colon), line.slice(colon + 1)];
        });
        const { target, body, ...others } = request;
        expect({ audience, id, timestamp, nonce, method, authority, fields }).toEqual(others);
        expect([scheme, canonical]).toEqual(['HMAC-SHA256', canonicalTarget(target)]);
        expect(digest).toMatch(/^[\da-f]{64}$/);
        expect(stringToSign({ ...request, body: Buffer.concat([body!, Buffer.from('x')]) })).not.toContain(
          digest,
        );
      }),
      RUNS,
    );
  });

  it('has the same hash for an empty and a missing body', () => {
    const request = { ...fc.sample(signed, 1)[0]!, body: undefined };
    expect(stringToSign(request)).toBe(stringToSign({ ...request, body: Buffer.alloc(0) }));
    expect(stringToSign(request)).toContain(
      'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    );
  });
});

describe('hmac: the canonical query', () => {
  it.each([
    ['/x', '/x'],
    ['/x?', '/x?'],
    ['/x?b=2&a=1&b=1', '/x?b=2&a=1&b=1'],
    ['/x?a=%7e%7E~', '/x?a=~~~'],
    ['/x?%61[]=%c3%A9', '/x?a%5B%5D=%C3%A9'],
    ['/x?a=1+2%202%2b3', '/x?a=1+2%202%2B3'],
    ['/x?a=b=c%3D%26', '/x?a=b=c%3D%26'],
    ['/x?a=/?:@!$\'()*,;"<>', '/x?a=%2F%3F%3A%40%21%24%27%28%29%2A%2C%3B%22%3C%3E'],
    ['/x?&&b&=&a', '/x?&&b&=&a'],
    ['/%7Ex/%2e?a=%7E', '/%7Ex/%2e?a=~'],
    ['/x?b=%7e&a=%', '/x?b=%7e&a=%'],
    ['/x?a=\xff', '/x?a=\xff'],
    ['/x?a=%ff', '/x?a=%FF'],
  ])('of %s is %s', (target, canonical) => {
    expect(canonicalTarget(target)).toBe(canonical);
    expect(canonicalTarget(canonical)).toBe(canonical);
  });

  const letters = ['a', 'b', 'B', '1', '~', '-', '+', '%', '/', '[', ' ', '"'];
  const encoded = ['%61', '%7e', '%7E', '%2B', '%2b', '%26', '%3D', '%20', '%25', '%c3%a9', '%FF'];
  const query = fc.string({
    unit: fc.constantFrom(...letters, ...encoded, '&', '&', '=', '='),
    maxLength: 12,
  });
  const wellFormed = query.filter((text) => !/%(?![\da-f]{2})/i.test(text));

  it('is read by parsers like the original', () => {
    fc.assert(
      fc.property(query, (text) => {
        const canonical = canonicalTarget(`/?${text}`).slice(2);
        expect({ ...parse(canonical) }).toEqual({ ...parse(text) });
        expect([...new URLSearchParams(canonical)]).toEqual([...new URLSearchParams(text)]);
        expect(canonicalTarget(`/?${canonical}`).slice(2)).toBe(canonical);
      }),
      RUNS,
    );
  });

  it('is the same for every encoding of the query', () => {
    const encode = (part: string) => `%${part.charCodeAt(0).toString(16).padStart(2, '0')}`;
    const reencode = (text: string) =>
      text.replace(/%..|[^&=+]/g, (part) =>
        part.length > 1 ? part.toLowerCase().replace('%7e', '~') : encode(part),
      );
    fc.assert(
      fc.property(wellFormed, (text) => {
        expect(canonicalTarget(`/?${reencode(text)}`)).toBe(canonicalTarget(`/?${text}`));
      }),
      RUNS,
    );
  });

  it('is computed in linear time: 64 KiB of worst cases', () => {
    for (const worst of ['%', '%7e', '&', '=', '&=', '%4', '?', 'b&a&'])
      expect(canonicalTarget(`/?${worst.repeat(65_536 / worst.length)}`).length).toBeGreaterThan(1);
  });
});

describe('hmac: the Authorization header', () => {
  const unit = (characters: string) => fc.constantFrom(...characters);
  const word = (min: number, max: number) =>
    fc.string({ unit: unit('abyzABYZ0189-_'), minLength: min, maxLength: max });
  const good: fc.Arbitrary<HmacAuthorization> = fc.record({
    id: word(16, 16),
    timestamp: fc.string({ unit: unit('0123456789'), minLength: 10, maxLength: 10 }),
    nonce: word(16, 64),
    headers: fc.array(fc.string({ unit: unit('az09-'), minLength: 1, maxLength: 64 }), { maxLength: 16 }),
    signature: fc.string({ unit: unit('0123456789abcdef'), minLength: 64, maxLength: 64 }),
  });

  it('is parsed to what was formatted, with a case-insensitive scheme', () => {
    fc.assert(
      fc.property(good, fc.boolean(), (sent, lower) => {
        const text = formatAuthorization(sent);
        expect(parseAuthorization(lower ? text.replace('HMAC-SHA256', 'hmac-Sha256') : text)).toEqual(sent);
      }),
      RUNS,
    );
  });

  it('is accepted in one spelling only, and never throws', () => {
    const piece = fc.oneof(
      fc.string({ maxLength: 3 }),
      fc.constantFrom('"', ', ', ' ', '=', '\\"', 'é', '\n'),
    );
    const damaged = fc
      .tuple(good.map(formatAuthorization), fc.nat(), fc.nat({ max: 3 }), piece)
      .map(([text, at, drop, put]) => {
        const start = at % (text.length + 1);
        return text.slice(0, start) + put + text.slice(start + drop);
      });
    fc.assert(
      fc.property(fc.oneof(damaged, fc.string({ unit: 'binary', maxLength: 400 })), (text) => {
        const read = parseAuthorization(text);
        if (read) expect(formatAuthorization(read).slice(11)).toBe(text.slice(11));
      }),
      { numRuns: 20_000 },
    );
  });

  it('is rejected if the signature has another form', () => {
    const [sent] = fc.sample(good, 1) as [HmacAuthorization];
    for (const signature of [
      '',
      'ab',
      'a'.repeat(63),
      'a'.repeat(65),
      'A'.repeat(64),
      'g'.repeat(64),
      `${'a'.repeat(64)}\n`,
    ])
      expect(parseAuthorization(formatAuthorization({ ...sent, signature }))).toBeUndefined();
  });

  it('is rejected with too many or too long header names', () => {
    const [sent] = fc.sample(good, 1) as [HmacAuthorization];
    for (const headers of [
      Array(17).fill('a'),
      ['a'.repeat(65)],
      ['a'.repeat(65_536)],
      Array(32_768).fill('a'),
    ] as string[][])
      expect(parseAuthorization(formatAuthorization({ ...sent, headers }))).toBeUndefined();
  });

  it('creates unique ids and secrets', () => {
    expect(newKeyId()).toMatch(/^[\w-]{16}$/);
    expect(newSecret()).toMatch(/^atlas_hmac_[\w-]{43}$/);
    expect(new Set(Array.from({ length: 1_000 }, newSecret)).size).toBe(1_000);
  });
});
