import { describe, expect, it } from '@jest/globals';
import aws4 from 'aws4';
import * as fc from 'fast-check';
import { parse } from 'node:querystring';
import {
  isPresigned,
  parseHeader,
  parsePresigned,
  parseQuery,
  hasDuplicateName,
  splitTarget,
} from '../../src/methods/sigv4/sigv4.parser.js';
import {
  canonicalQuery,
  canonicalRequest,
  newKeyId,
  newSecret,
  sha256,
  sign,
  signingKey,
  stringToSign,
  formatTime,
} from '../../src/methods/sigv4/sigv4.js';

const SECRET = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';
const TIME = '20150830T123600Z';
const SCOPE = { day: '20150830', region: 'us-east-1', service: 'service' };
const DATE = { 'x-amz-date': [TIME] };

const canonicalOf = (
  method: string,
  target: string,
  headers: Readonly<Record<string, readonly string[]>>,
  body = '',
  host = 'example.amazonaws.com',
) => {
  const { path, query } = splitTarget(target);
  return canonicalRequest({
    method,
    path,
    query: parseQuery(query)!,
    headers: Object.entries({ host: [host], ...headers }).sort(([a], [b]) => (a < b ? -1 : 1)),
    payloadHash: sha256(body),
  });
};

describe('the published test vectors of AWS', () => {
  it('derives the signing key of the documentation', () => {
    const key = (day: string) => signingKey(SECRET, { day, region: 'us-east-1', service: 'iam' });
    expect(key('20150830').toString('hex')).toBe(
      'c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9',
    );
    expect(key('20120215').toString('hex')).toBe(
      'f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d',
    );
  });

  it('computes the three steps of the example IAM ListUsers', () => {
    const scope = { ...SCOPE, service: 'iam' };
    const canonical = canonicalOf(
      'GET',
      '/?Action=ListUsers&Version=2010-05-08',
      { ...DATE, 'content-type': ['application/x-www-form-urlencoded; charset=utf-8'] },
      '',
      'iam.amazonaws.com',
    );
    expect(sha256(canonical)).toBe('f536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59');
    expect(sign(SECRET, scope, stringToSign(TIME, scope, canonical))).toBe(
      '5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7',
    );
  });

  const RAW = '-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
  const FORM = 'application/x-www-form-urlencoded';
  const TOKEN = '6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267';
  const lines = (...values: readonly string[]) => ({ 'my-header1': values });

  // The vectors of the test suite that do not normalize the path.
  it.each<[string, string, string, Record<string, readonly string[]>?, string?]>([
    ['get-vanilla', 'GET /', '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31'],
    [
      'get-vanilla-empty-query-key',
      'GET /?Param1=value1',
      'a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb',
    ],
    [
      'get-vanilla-query-order-key',
      'GET /?Param1=value2&Param1=Value1',
      'eedbc4e291e521cf13422ffca22be7d2eb8146eecf653089df300a15b2382bd1',
    ],
    [
      'get-vanilla-query-order-key-case',
      'GET /?Param2=value2&Param1=value1',
      'b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500',
    ],
    [
      'get-vanilla-query-order-value',
      'GET /?Param1=value2&Param1=value1',
      '5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694',
    ],
    [
      'get-vanilla-query-order-encoded',
      'GET /?Param-3=Value3&Param=Value2&%E1%88%B4=Value1',
      '371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac',
    ],
    [
      'get-vanilla-query-unreserved',
      `GET /?${RAW}=${RAW}`,
      '9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197',
    ],
    [
      'get-vanilla-utf8-query',
      'GET /?\u1234=bar',
      '2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04',
    ],
    [
      'get-vanilla-with-session-token',
      'GET /',
      '07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8',
      { 'x-amz-security-token': [TOKEN] },
    ],
    ['get-unreserved', `GET /${RAW}`, '07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f'],
    ['get-utf8', 'GET /\u1234', '8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85'],
    [
      'get-space-unnormalized',
      'GET /example space/',
      '652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741',
    ],
    [
      'get-slashes-unnormalized',
      'GET //example//',
      '87cca117541a147f6df867677d98a7d80dff226d2bfca9e4ffa899665623c7e5',
    ],
    [
      'get-slash-dot-slash-unnormalized',
      'GET /./',
      '68714168e6557f8f2de0ef956fc24dc2593a4bd2961f8df51898d8a134695145',
    ],
    [
      'get-slash-pointless-dot-unnormalized',
      'GET /./example',
      'beb03f223f7deae4146464f06e29eebbee9c8afbe15c290cf07aa8b119e14cff',
    ],
    [
      'get-relative-unnormalized',
      'GET /example/..',
      'eca7ead57bb5aa5c8e28007acd4ff04e1ff9a0ff3b237ec1554a184887ff9282',
    ],
    [
      'get-relative-relative-unnormalized',
      'GET /example1/example2/../..',
      'dc33e0856fd4baca4d7aa2146c38958283844764f38c74252a333df5e613003b',
    ],
    [
      'get-header-key-duplicate',
      'GET /',
      'c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea',
      lines('value2', 'value2', 'value1'),
    ],
    [
      'get-header-value-order',
      'GET /',
      '08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01',
      lines('value4', 'value1', 'value3', 'value2'),
    ],
    [
      'get-header-value-trim',
      'GET /',
      'acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736',
      { ...lines(' value1'), 'my-header2': ['"a   b   c"'] },
    ],
    [
      'post-x-www-form-urlencoded',
      'POST /',
      'ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a',
      { 'content-type': [FORM] },
      'Param1=value1',
    ],
  ])('%s', (_, line, signature, headers = {}, body) => {
    const space = line.indexOf(' ');
    const canonical = canonicalOf(line.slice(0, space), line.slice(space + 1), { ...DATE, ...headers }, body);
    expect(sign(SECRET, SCOPE, stringToSign(TIME, SCOPE, canonical))).toBe(signature);
  });

  it('get-vanilla-query, presigned', () => {
    const target =
      '/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20150830%2Fus-east-1%2Fservice%2Faws4_request' +
      '&X-Amz-Date=20150830T123600Z&X-Amz-SignedHeaders=host&X-Amz-Expires=3600';
    expect(sign(SECRET, SCOPE, stringToSign(TIME, SCOPE, canonicalOf('GET', target, {})))).toBe(
      'e93c787ed7f371d5c6b165c1b38ede9550f4dce4144713e844b25b7192d3865d',
    );
  });
});

/** Few pieces, so that generated texts are often equivalent. They include delimiters, plain and encoded. */
const text = (...pieces: readonly string[]) =>
  fc.array(fc.constantFrom(...pieces), { maxLength: 6 }).map((some) => some.join(''));

describe('the canonical form', () => {
  const queries = text('a', 'b', 'A', '%41', '&', '=', '+', '%20', '%2B', '%2b', '%26', '%3D', '%25', '%0A');
  const lines = fc.array(text('a', ' ', '\t', ',', ':', ';', '"'), { minLength: 1, maxLength: 2 });
  const requests = fc.record({
    method: fc.constantFrom('GET', 'PUT'),
    path: text('a', '/', '.', '%', '%2F', '%25', '25', ' ').map((path) => `/${path}`),
    query: queries,
    headers: fc.record({ host: lines, 'if-match': lines }, { requiredKeys: ['host'] }),
    body: fc.constantFrom('', 'a'),
  });
  type Sample = typeof requests extends fc.Arbitrary<infer T> ? T : never;

  /** The query as the routes read it, and a header value as RFC 9110 does. */
  const read = (query: string) =>
    JSON.stringify(Object.entries(parse(query)).sort(([a], [b]) => (a < b ? -1 : 1)));
  const readLines = (values: readonly string[] = []) =>
    values.map((value) => value.split(/[ \t]/).filter(Boolean).join(' ')).join(',');

  it('is equal for two queries only if a route reads them alike', () => {
    fc.assert(
      fc.property(queries, queries, (one, other) => {
        const [a, b] = [parseQuery(one)!, parseQuery(other)!];
        fc.pre(!hasDuplicateName(a) && !hasDuplicateName(b));
        expect(canonicalQuery(a) === canonicalQuery(b)).toBe(read(one) === read(other));
      }),
      { numRuns: 10_000 },
    );
  });

  it('is equal for two requests only if method, path, query, headers and body are', () => {
    const canonical = ({ method, path, query, headers, body }: Sample) =>
      canonicalRequest({
        method,
        path,
        query: parseQuery(query)!,
        headers: Object.entries(headers).sort(([a], [b]) => (a < b ? -1 : 1)),
        payloadHash: sha256(body),
      });
    const meaning = ({ method, path, query, headers, body }: Sample) =>
      JSON.stringify([
        ...[method, path, read(query), body],
        readLines(headers.host),
        headers['if-match'] ? [readLines(headers['if-match'])] : [],
      ]);
    const parts = fc.subarray(['method', 'path', 'query', 'headers', 'body'] as const);
    fc.assert(
      fc.property(requests, requests, parts, (one, another, changed) => {
        const other = { ...one, ...Object.fromEntries(changed.map((part) => [part, another[part]])) };
        for (const { query } of [one, other]) fc.pre(!hasDuplicateName(parseQuery(query)!));
        expect(canonical(one) === canonical(other)).toBe(meaning(one) === meaning(other));
      }),
      { numRuns: 10_000 },
    );
  });

  it('equals that of aws4, for every path that aws4 does not normalize', () => {
    const segments = fc.array(text('a', 'Z', '%20', '%C3%A9', '-', '~', '!', '*', '(', ':', '@'), {
      minLength: 1,
    });
    const words = fc.string({ unit: fc.constantFrom('a', 'B', '1', ' ', '+', '&', '=', '/', '*', "'", 'é') });
    fc.assert(
      fc.property(segments, fc.dictionary(words, words, { maxKeys: 4 }), words, (path, query, body) => {
        fc.pre(path.every((segment) => segment !== '') && !('' in query));
        const target = `/${path.join('/')}?${new URLSearchParams(query)}`;
        const signer = new aws4.RequestSigner({
          ...{ method: 'PUT', path: target, body, service: 'service', region: 'us-east-1' },
          headers: { Host: 'example.amazonaws.com', 'X-Amz-Date': TIME, 'X-Is': 'a' },
          doNotModifyHeaders: true,
        });
        const headers = { ...DATE, 'x-is': ['a'] };
        expect(canonicalOf('PUT', target, headers, body)).toBe(signer.canonicalString());
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('the parser', () => {
  const day = TIME.slice(0, 8);
  const credential = `ATLA${'A'.repeat(16)}/${day}/us-east-1/service/aws4_request`;
  const signature = '0'.repeat(64);
  const header = `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=host, Signature=${signature}`;
  const presigned = {
    'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
    'X-Amz-Credential': credential,
    'X-Amz-Date': TIME,
    'X-Amz-Expires': '60',
    'X-Amz-SignedHeaders': 'host',
    'X-Amz-Signature': signature,
  };
  const anything = fc.string({ unit: 'binary', maxLength: 60 });
  /** A text with a part replaced. */
  const bent = (whole: string) =>
    fc
      .tuple(fc.nat(whole.length), fc.nat(3), anything)
      .map(([from, gone, put]) => whole.slice(0, from) + put + whole.slice(from + gone));

  it('accepts one spelling of the header, and never throws', () => {
    expect(parseHeader(header, TIME)).toMatchObject({ time: TIME, signature, signedHeaders: ['host'] });
    const authorization = fc.oneof(
      fc.constant(header),
      bent(header),
      anything.map((rest) => `AWS4-HMAC-SHA256${rest}`),
    );
    fc.assert(
      fc.property(authorization, fc.oneof(fc.constant(TIME), bent(TIME)), (sent, time) => {
        const claim = parseHeader(sent, time);
        if (!claim) return;
        const { keyId, scope, signedHeaders } = claim;
        const spelt = `Credential=${keyId}/${scope.day}/${scope.region}/${scope.service}/aws4_request`;
        expect(sent.replace(/^\S+ +/, '').replace(/, */g, ', ')).toBe(
          `${spelt}, SignedHeaders=${signedHeaders.join(';')}, Signature=${claim.signature}`,
        );
        expect(formatTime(claim.signedAt)).toBe(time);
      }),
      { numRuns: 10_000 },
    );
  });

  it('accepts one spelling of a presigned query, and never throws', () => {
    const names = fc.constantFrom(...Object.keys(presigned));
    const change = fc.record({ name: names, value: fc.option(anything) });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 2 }), anything, (changes, rest) => {
        const changed = new Map<string, string | null>(Object.entries(presigned));
        for (const { name, value } of changes) changed.set(name, value);
        const query = [...changed].filter((pair): pair is [string, string] => pair[1] !== null);
        const claim = parsePresigned(query);
        if (claim)
          expect([claim.keyId, claim.lifetimeSeconds! <= 604_800]).toEqual([credential.slice(0, 20), true]);
        else expect(changes).not.toEqual([]);
        const target = `/?${new URLSearchParams(query)}&${rest}`;
        expect(isPresigned(target)).toBe(query.some(([name]) => /Algorithm|Credential|Signature/.test(name)));
        parseQuery(splitTarget(target).query);
      }),
      { numRuns: 10_000 },
    );
  });

  it('rejects a time outside the calendar', () => {
    expect(parseHeader(header, '20240229T235959Z')?.signedAt).toEqual(new Date('2024-02-29T23:59:59Z'));
    for (const time of [
      ...['20230229T000000Z', '20230230T000000Z', '20231301T000000Z', '20230101T240000Z', '20230101T236000Z'],
      ...[
        '20230101T235960Z',
        '2023-01-01T00:00:00Z',
        '20230101T000000',
        '20230101T000000z',
        ' 20230101T000000Z',
      ],
    ])
      expect(parseHeader(header, time)).toBeUndefined();
  });

  it('rejects a query with too many parameters or invalid UTF-8', () => {
    expect(parseQuery('a=%E0%A4')).toBeUndefined();
    expect(parseQuery('a=1&'.repeat(100))).toHaveLength(100);
    expect(parseQuery('a=1&'.repeat(101))).toBeUndefined();
    expect(parseQuery('&&a&=b&c=d=e&f+g=%2B')).toEqual([
      ['a', ''],
      ['', 'b'],
      ['c', 'd=e'],
      ['f g', '+'],
    ]);
  });
});

describe('a new key', () => {
  it('has an id in the form of AWS and 240 random bits', () => {
    expect(newKeyId()).toMatch(/^ATLA[A-Z2-7]{16}$/);
    expect(newSecret()).toMatch(/^[A-Za-z0-9+/]{40}$/);
    expect(new Set(Array.from({ length: 1_000 }, () => newKeyId() + newSecret())).size).toBe(1_000);
  });
});
