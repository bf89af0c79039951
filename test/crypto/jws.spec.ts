import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { unverifiedIssuer } from '../../src/authentication/bearer.js';
import { readAccessToken, readJws } from '../../src/crypto/jws.js';

const base64 = (text: string | Buffer) => Buffer.from(text).toString('base64url');
const compact = (header: string, payload: string, signature = 'sig') =>
  [header, payload, signature].map(base64).join('.');
const RUNS = { numRuns: 10_000 };

describe('a JWS in compact serialization', () => {
  const token = compact('{"alg":"ES256","typ":"at+jwt","kid":"k"}', '{"iss":"a"}');

  it('is read if it has three parts, two of them JSON objects', () => {
    expect(readJws(token)).toMatchObject({ header: { kid: 'k' }, claims: { iss: 'a' } });
    expect(readAccessToken(token, 'ES256')).toMatchObject({ kid: 'k', claims: { iss: 'a' } });
    const others = [
      '',
      '..',
      'a.b.c',
      `${token}.`,
      `.${token}`,
      `${token}=`,
      ` ${token}`,
      compact('[]', '{}'),
    ];
    for (const other of [...others, compact('null', '{}'), compact('{}', '"x"'), compact('{}', '{}', '')])
      expect([other, readJws(other)]).toEqual([other, undefined]);
  });

  it('is rejected if a part is not canonical base64url', () => {
    const [header, payload] = token.split('.');
    expect(readJws(`${header}.${payload}.QQ`)).toBeDefined();
    // Unused trailing bits, padding, the standard alphabet, a line break: many libraries accept them.
    for (const other of ['QR', 'QQ==', '+/+/', 'QQ\n', 'Q Q'])
      expect([other, readJws(`${header}.${payload}.${other}`)]).toEqual([other, undefined]);
  });

  it('is rejected with canonicalJson for duplicate names, white space and alternative spellings', () => {
    for (const payload of [
      '{"iss":"a","iss":"b"}',
      '{ "iss":"a"}',
      '{"a":1.0}',
      '{"a":"\\u0061"}',
      '\uFEFF{}',
    ])
      expect(readJws(compact('{"alg":"ES256"}', payload), { canonicalJson: true })).toBeUndefined();
    const latin = Buffer.from('{"iss":"\xe9"}', 'latin1');
    expect(readJws(`${base64('{}')}.${base64(latin)}.AAAA`)).toBeUndefined();
  });

  it('never throws, whatever the text', () => {
    const part = fc.oneof(fc.string(), fc.json(), fc.base64String()).map((text) => base64(text));
    const near = fc.array(fc.oneof(part, fc.string()), { maxLength: 5 }).map((parts) => parts.join('.'));
    fc.assert(
      fc.property(fc.oneof(fc.string(), near), (text) => {
        const read = readJws(text);
        unverifiedIssuer(text);
        if (!read) return;
        // The signing input and the signature are the token, byte for byte.
        expect(`${read.signingInput.toString()}.${read.signature.toString('base64url')}`).toBe(text);
      }),
      RUNS,
    );
  });

  it('returns every JSON object unchanged', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (claims) => {
        const text = JSON.stringify(claims);
        const read = readJws(compact('{"alg":"ES256"}', text), { maxLength: Infinity, canonicalJson: true });
        expect(JSON.stringify(read?.claims)).toBe(text);
      }),
      RUNS,
    );
  });
});
