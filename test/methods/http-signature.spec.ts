import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { createPublicKey, generateKeyPairSync, type JsonWebKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { parseDictionary, type InnerList } from 'structured-headers';
import {
  importPublicJwk,
  sign,
  verifySignature,
} from '../../src/methods/http-signature/http-signature.algorithms.js';
import { signatureBase, type Message } from '../../src/methods/http-signature/http-signature.base.js';
import { DEMO_PUBLIC_JWK } from '../../src/methods/http-signature/http-signature.demo.js';
import {
  contentDigest,
  verifyContentDigest,
} from '../../src/methods/http-signature/http-signature.content-digest.js';
import {
  REQUIRED_COMPONENTS,
  InvalidSignature,
  TAG,
  selectSignature,
  parseCanonicalDictionary,
  parseSignatures,
  assertCovered,
} from '../../src/methods/http-signature/http-signature.js';
import { isBeforeNode24 } from '../support/weak-keys.js';
import * as rfc from './http-signature.vectors.js';

/** Runs of each property test. */
const RUNS = { numRuns: 10_000 };

const inputOf = (text: string) => parseDictionary(`sig=${text}`).get('sig') as InnerList;
const baseOf = (text: string, message: Message = rfc.TEST_REQUEST) => signatureBase(inputOf(text), message);
/** The lines of a signature base without the last, `@signature-params`. */
const linesOf = (text: string, message?: Message) => baseOf(text, message).split('\n').slice(0, -1);
const bytes = (base64: string) => Buffer.from(base64, 'base64');
const rejectionOf = (run: () => unknown) => {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidSignature);
    return (error as InvalidSignature).message;
  }
  throw new Error('no error was thrown');
};

describe('the test vectors of RFC 9421', () => {
  it.each(rfc.VECTORS)('$name: builds the printed base and verifies the signature', async (vector) => {
    const base = baseOf(vector.input, vector.message);
    expect(base).toBe([...vector.base, `"@signature-params": ${vector.input}`].join('\n'));
    expect(await verifySignature(vector.algorithm, vector.key, base, bytes(vector.signature))).toBe(true);
    for (const altered of [`${base} `, base.replace('1618884473', '1618884474')])
      expect(await verifySignature(vector.algorithm, vector.key, altered, bytes(vector.signature))).toBe(
        false,
      );
    if (vector.signer)
      expect(sign(vector.algorithm, vector.signer, base).toString('base64')).toBe(vector.signature);
  });

  it('B.1: the public keys verify new signatures of the private keys', async () => {
    for (const [algorithm, privateKey, publicKey] of [
      ['rsa-pss-sha512', rfc.RSA_PSS_PRIVATE, rfc.RSA_PSS],
      ['ecdsa-p256-sha256', rfc.P256_PRIVATE, rfc.P256],
      ['ed25519', rfc.ED25519_PRIVATE, rfc.ED25519],
    ] as const)
      expect(await verifySignature(algorithm, publicKey, 'text', sign(algorithm, privateKey, 'text'))).toBe(
        true,
      );
  });

  it('B.2: the digests match the bodies', () => {
    verifyContentDigest([rfc.DIGEST], Buffer.from(rfc.BODY));
    verifyContentDigest([rfc.RESPONSE_DIGEST], Buffer.from(rfc.RESPONSE_BODY));
  });

  it.each(rfc.TRANSFORMED)('B.4: $name: valid is $valid', async ({ message, valid }) => {
    const base = baseOf(rfc.TRANSFORM_INPUT, message);
    expect(await verifySignature('ed25519', rfc.ED25519, base, bytes(rfc.TRANSFORM_SIGNATURE))).toBe(valid);
  });

  it('B.4: Ed25519 creates the same signature', () => {
    const base = baseOf(rfc.TRANSFORM_INPUT, rfc.TRANSFORMED[0]!.message);
    expect(sign('ed25519', rfc.ED25519_PRIVATE, base).toString('base64')).toBe(rfc.TRANSFORM_SIGNATURE);
  });

  it('B.3: the signature is invalid for another certificate', async () => {
    const { input, signature } = rfc.VECTORS.find(({ name }) => name.startsWith('B.3'))!;
    const altered = rfc.proxied(rfc.CLIENT_CERT.replace('MIIBqDCC', 'MIIBqDCD'));
    expect(
      await verifySignature('ecdsa-p256-sha256', rfc.P256, baseOf(input, altered), bytes(signature)),
    ).toBe(false);
  });

  it('2.4: a response is bound to its request', async () => {
    const base = baseOf(rfc.BOUND_INPUT, rfc.boundTo(rfc.TEST_REQUEST));
    expect(await verifySignature('ecdsa-p256-sha256', rfc.P256, base, bytes(rfc.BOUND_SIGNATURE))).toBe(true);
    const other = baseOf(rfc.BOUND_INPUT, rfc.boundTo({ ...rfc.TEST_REQUEST, method: 'PUT' }));
    expect(await verifySignature('ecdsa-p256-sha256', rfc.P256, other, bytes(rfc.BOUND_SIGNATURE))).toBe(
      false,
    );
  });

  it('4.3: verifies the signatures of a client and of a proxy', async () => {
    const { lines } = rfc.FORWARDED;
    const [client, proxy] = parseSignatures(lines('Signature-Input'), lines('Signature'));
    expect([client!.label, proxy!.label]).toEqual(['sig1', 'proxy_sig']);
    const asSent = { ...rfc.FORWARDED, authority: 'example.com' };
    expect(
      await verifySignature(
        'ecdsa-p256-sha256',
        rfc.P256,
        signatureBase(client!.input, asSent),
        client!.signature,
      ),
    ).toBe(true);
    const base = signatureBase(proxy!.input, rfc.FORWARDED);
    expect(await verifySignature('rsa-v1_5-sha256', rfc.RSA, base, proxy!.signature)).toBe(true);
    expect(await verifySignature('rsa-pss-sha512', rfc.RSA, base, proxy!.signature)).toBe(false);
  });
});

it('the exchange on the docs page verifies', async () => {
  const page = readFileSync('docs/methods/http-signature.md', 'utf8');
  const [, head = '', body = ''] = /```http\n([^]*?)\n\n([^]*?)\n```/.exec(page)!;
  const [line = '', ...fields] = head.split('\n');
  const named = fields.map((field) => field.split(/: (.*)/).slice(0, 2) as [string, string]);
  const message = rfc.request(line, named, false);
  const [signed] = parseSignatures(message.lines('Signature-Input'), message.lines('Signature'));
  const base = signatureBase(signed!.input, message);
  expect(page).toContain(`\`\`\`text\n${base}\n\`\`\``);
  const { key } = importPublicJwk(DEMO_PUBLIC_JWK)!;
  expect(await verifySignature('ed25519', key, base, signed!.signature)).toBe(true);
  verifyContentDigest(message.lines('Content-Digest'), Buffer.from(body));
});

describe('signatureBase', () => {
  const message = rfc.request(
    'POST /a/%7Eb?var=this%20is%20a%20big%0Amultiline%20value&bar=with+plus+whitespace&fa%C3%A7ade%22%3A%20=something&q=(~!*)',
    [
      ['Host', 'WWW.Example.com:443'],
      ['X-OWS', '   Leading and trailing whitespace.   '],
      ['X-Empty', ''],
      ['Cache-Control', 'max-age=60'],
      ['Cache-Control', '   must-revalidate'],
      ['Priority', ' a=1,    b=2;x=1;y=2,   c=(a   b   c), d'],
      ['Client-Cert-Chain', ':AA==: ,  :AQ==:'],
      ['Client-Cert', ':AA==:'],
      ['Example-Header', 'value, with, lots'],
      ['Example-Header', 'of, commas'],
      ['X-Broken', 'a=,'],
      ['X-Latin', 'caf\u00e9'],
      ['X-Fold', 'a\r\n b'],
    ],
  );

  it('2.2: derives the components of a request', () => {
    const components =
      '("@method" "@target-uri" "@authority" "@scheme" "@request-target" "@path" "@query-param";name="var" ' +
      '"@query-param";name="bar" "@query-param";name="fa%C3%A7ade%22%3A%20" "@query-param";name="q")';
    expect(linesOf(components, message)).toEqual([
      '"@method": POST',
      `"@target-uri": https://www.example.com${message.target}`,
      '"@authority": www.example.com',
      '"@scheme": https',
      `"@request-target": ${message.target}`,
      '"@path": /a/%7Eb',
      '"@query-param";name="var": this%20is%20a%20big%0Amultiline%20value',
      '"@query-param";name="bar": with%20plus%20whitespace',
      '"@query-param";name="fa%C3%A7ade%22%3A%20": something',
      '"@query-param";name="q": %28%7E%21*%29',
    ]);
  });

  it('2.2: normalizes an absent query and default ports', () => {
    const plain = rfc.request('GET /x', [['Host', 'A.test:443']], false);
    expect(linesOf('("@query" "@authority" "@scheme" "@target-uri")', plain)).toEqual([
      '"@query": ?',
      '"@authority": a.test:443',
      '"@scheme": http',
      '"@target-uri": http://a.test:443/x',
    ]);
    const eighty = rfc.request('GET /x?a?b=1?', [['Host', 'a.test:80']], false);
    expect(linesOf('("@query" "@authority")', eighty)).toEqual(['"@query": ?a?b=1?', '"@authority": a.test']);
    expect(linesOf('("@authority")', { ...eighty, secure: true })).toEqual(['"@authority": a.test:80']);
  });

  it('2.1: serializes headers plain and with sf, key and bs', () => {
    const components =
      '("x-ows" "x-empty" "cache-control" "priority";sf "priority";key="a" "priority";key="b" "priority";key="c" ' +
      '"priority";key="d" "priority";sf;key="d" "client-cert-chain";sf "client-cert";sf "example-header" "example-header";bs "x-latin";bs)';
    expect(linesOf(components, message)).toEqual([
      '"x-ows": Leading and trailing whitespace.',
      '"x-empty": ',
      '"cache-control": max-age=60, must-revalidate',
      '"priority";sf: a=1, b=2;x=1;y=2, c=(a b c), d',
      '"priority";key="a": 1',
      '"priority";key="b": 2;x=1;y=2',
      '"priority";key="c": (a b c)',
      '"priority";key="d": ?1',
      '"priority";sf;key="d": ?1',
      '"client-cert-chain";sf: :AA==:, :AQ==:',
      '"client-cert";sf: :AA==:',
      '"example-header": value, with, lots, of, commas',
      '"example-header";bs: :dmFsdWUsIHdpdGgsIGxvdHM=:, :b2YsIGNvbW1hcw==:',
      '"x-latin";bs: :Y2Fm6Q==:',
    ]);
  });

  it.each([
    ['the status of a request', '("@status")', 'a request has no such component'],
    ['an undefined derived component', '("@user")', 'a request has no such component'],
    ['@signature-params as a component', '("@signature-params")', 'a request has no such component'],
    ['a header name in upper case', '("Host")', 'a component name is not a header name'],
    ['an empty name', '("")', 'a component name is not a header name'],
    ['a token as a name', '(host)', 'a component name is not a string'],
    ['a duplicate component', '("@method" "@path" "@method")', 'a component is covered twice'],
    [
      'a duplicate component with reordered parameters',
      '("priority";sf;key="a" "priority";key="a";sf)',
      'a component is covered twice',
    ],
    ['an absent header', '("x-absent")', 'a covered header is absent'],
    ['a trailer', '("expires";tr)', 'a component has an unknown parameter'],
    ['an unknown parameter', '("host";x)', 'a component has an unknown parameter'],
    ['a boolean parameter that is false', '("host";sf=?0)', 'a component has an unknown parameter'],
    ['a key that is not a string', '("priority";key=a)', 'a component has an unknown parameter'],
    ['req in a request', '("@method";req)', 'a request has no req components'],
    ['bs with sf', '("priority";bs;sf)', 'bs goes with neither sf nor key'],
    ['bs with key', '("priority";bs;key="a")', 'bs goes with neither sf nor key'],
    ['a key of an absent member', '("priority";key="z")', 'a header lacks the member'],
    ['a key of a list', '("client-cert-chain";key="a")', 'a header lacks the member'],
    ['a key named like an object property', '("priority";key="constructor")', 'a header lacks the member'],
    ['sf of an unknown header', '("x-ows";sf)', 'a header is not a structured field of a known type'],
    ['sf of a derived component', '("@method";sf)', 'a derived component has a parameter of a header'],
    ['a name parameter of a header', '("host";name="a")', 'a header has a parameter of a derived component'],
    ['a name parameter of @path', '("@path";name="a")', 'a derived component has a parameter of a header'],
    ['@query-param without a name', '("@query-param")', 'a query parameter is absent or duplicate'],
    ['an absent query parameter', '("@query-param";name="z")', 'a query parameter is absent or duplicate'],
    ['a folded line', '("x-fold")', 'a component has characters that cannot be signed'],
    ['a value that is not ASCII', '("x-latin")', 'a component has characters that cannot be signed'],
  ])('rejects %s', (_, components, reason) => {
    expect(rejectionOf(() => baseOf(components, message))).toBe(reason);
  });

  it('rejects a duplicate query parameter', () => {
    const twice = rfc.request('GET /?a=1&%61=2', [['Host', 'a.test']]);
    expect(rejectionOf(() => baseOf('("@query-param";name="a")', twice))).toMatch('duplicate');
  });

  it('rejects sf and key of a malformed structured field', () => {
    const broken = rfc.request('GET /', [['Priority', 'a=,']]);
    for (const components of ['("priority";sf)', '("priority";key="a")'])
      expect(rejectionOf(() => baseOf(components, broken))).toBe('a header is not a structured field');
  });

  it('rejects components of requests in a response', () => {
    const response = rfc.boundTo(rfc.TEST_REQUEST);
    expect(rejectionOf(() => baseOf('("@method")', response))).toBe('a response has no such component');
    expect(rejectionOf(() => baseOf('("@status";req)', response))).toBe('a request has no such component');
  });

  it('differs for any two different requests if the required components are covered', () => {
    const text = fc.string({ maxLength: 12, unit: fc.constantFrom(...'ab/?&=% :"@;,()\\n') });
    const requests = fc.record({ method: text, authority: text, target: text, digest: text });
    const components = `(${[...REQUIRED_COMPONENTS, 'content-digest'].map((name) => `"${name}"`).join(' ')})`;
    const input = inputOf(components);
    const seen = new Map<string, string>();
    fc.assert(
      fc.property(requests, ({ method, authority, target: rest, digest }) => {
        const target = `/${rest}`;
        const message = rfc.request('', [['Content-Digest', digest]]);
        const base = signatureBase(input, { ...message, method, authority, target });
        // Equal by definition: the case of a host, its default port, an empty query.
        const [path, ...query] = target.split('?');
        const host = authority.toLowerCase().replace(/:443$/, '');
        const canonical = JSON.stringify([method, host, path, query.join('?'), digest.trim()]);
        expect(seen.get(base) ?? canonical).toBe(canonical);
        seen.set(base, canonical);
      }),
      RUNS,
    );
  });
});

describe('Signature-Input and Signature', () => {
  const now = 1_618_884_473;
  const parameters = `created=${now};keyid="k";nonce="n";tag="${TAG}"`;
  const select = (text: string, at = now) =>
    selectSignature(parseSignatures([`sig=${text}`], ['sig=:AA==:']), at);

  it('are parsed together', () => {
    const { label, created, keyid, nonce, alg, signature } = select(
      `("@method");${parameters};alg="ed25519"`,
    );
    expect({ label, created, keyid, nonce, alg, signature: [...signature] }).toEqual({
      label: 'sig',
      created: now,
      keyid: 'k',
      nonce: 'n',
      alg: 'ed25519',
      signature: [0],
    });
  });

  it.each([
    ['a duplicate label in one line', ['sig=(), sig=()'], ['sig=:AA==:']],
    ['a duplicate label in two lines', ['sig=()', 'sig=()'], ['sig=:AA==:']],
    ['a duplicate signature', ['sig=()'], ['sig=:AA==:, sig=:AA==:']],
  ])('reports %s as a duplicate', (_, inputs, signatures) => {
    expect(() => parseSignatures(inputs, signatures)).toThrow(expect.objectContaining({ duplicate: true }));
  });

  it.each([
    ['text that is not a dictionary', ['sig=('], ['sig=:AA==:'], 'the header is not a dictionary'],
    [
      'a line that ends within a string',
      ['sig=("a', 'b")'],
      ['sig=:AA==:'],
      'the header is not a dictionary',
    ],
    [
      'a header of more than 8,192 characters',
      [`sig=("${'a'.repeat(9_000)}")`],
      ['sig=:AA==:'],
      'the header is too long',
    ],
    [
      'a duplicate parameter',
      ['sig=();created=1;created=2'],
      ['sig=:AA==:'],
      'the header is not in its canonical form',
    ],
    [
      'a number that is not canonical',
      ['sig=();created=01'],
      ['sig=:AA==:'],
      'the header is not in its canonical form',
    ],
    [
      'a boolean that is not canonical',
      ['sig=("a";sf=?1)'],
      ['sig=:AA==:'],
      'the header is not in its canonical form',
    ],
    ['base64 with other unused bits', ['sig=()'], ['sig=:AB==:'], 'the header is not in its canonical form'],
    ['base64 without padding', ['sig=()'], ['sig=:AA:'], 'the header is not in its canonical form'],
    ['base64 with a space', ['sig=()'], ['sig=:AA ==:'], 'the header is not a dictionary'],
    ['an input without a signature', ['sig=()'], [], 'the labels of the two headers differ'],
    ['a signature without an input', [], ['sig=:AA==:'], 'the labels of the two headers differ'],
    ['different labels', ['sig=()'], ['sig1=:AA==:'], 'a signature is missing, or is not a byte sequence'],
    [
      'a signature that is a string',
      ['sig=()'],
      ['sig="AA=="'],
      'a signature is missing, or is not a byte sequence',
    ],
    [
      'a signature with a parameter',
      ['sig=()'],
      ['sig=:AA==:;a'],
      'a signature is missing, or is not a byte sequence',
    ],
    [
      'an input that is not an inner list',
      ['sig=1'],
      ['sig=:AA==:'],
      'a member of Signature-Input is not an inner list',
    ],
  ])('rejects %s', (_, inputs, signatures, reason) => {
    expect(rejectionOf(() => parseSignatures(inputs, signatures))).toBe(reason);
  });

  it.each([
    ['no created', `keyid="k";tag="${TAG}"`, 'created or keyid is missing'],
    [
      'an old created',
      parameters.replace(`${now}`, `${now - 301}`),
      'created is too far from the current time',
    ],
    [
      'a future created',
      parameters.replace(`${now}`, `${now + 301}`),
      'created is too far from the current time',
    ],
    ['a signature that expires now', `${parameters};expires=${now}`, 'the signature has expired'],
    [
      'a signature that expires before it is created',
      `created=${now + 9};expires=${now + 8};keyid="k";tag="${TAG}"`,
      'the signature has expired',
    ],
    [
      'a created with a fraction',
      `created=${now}.5;keyid="k";tag="${TAG}"`,
      'a time is not a whole number of seconds',
    ],
    ['a negative created', `created=-1;keyid="k";tag="${TAG}"`, 'a time is not a whole number of seconds'],
    [
      'a created that is a string',
      `created="${now}";keyid="k";tag="${TAG}"`,
      'a time is not a whole number of seconds',
    ],
    [
      'a created that is a Date',
      `keyid="k";tag="${TAG}";created=@${now}`,
      'a time is not a whole number of seconds',
    ],
    ['no keyid', `created=${now};tag="${TAG}"`, 'created or keyid is missing'],
    [
      'a keyid that is a token',
      `created=${now};keyid=k;tag="${TAG}"`,
      'a parameter is not a string of 1 to 255 characters',
    ],
    [
      'an empty nonce',
      `created=${now};keyid="k";nonce="";tag="${TAG}"`,
      'a parameter is not a string of 1 to 255 characters',
    ],
    [
      'a nonce of 256 characters',
      `created=${now};keyid="k";nonce="${'n'.repeat(256)}";tag="${TAG}"`,
      'a parameter is not a string of 1 to 255 characters',
    ],
    ['no tag', `created=${now};keyid="k"`, 'no signature has our tag'],
    ['another tag', `created=${now};keyid="k";tag="other"`, 'no signature has our tag'],
    ['our tag as a token', `created=${now};keyid="k";tag=${TAG}`, 'no signature has our tag'],
    ['an unknown parameter', `${parameters};x`, 'a parameter is unknown'],
  ])('rejects %s', (_, text, reason) => {
    expect(rejectionOf(() => select(`("@method");${text}`))).toBe(reason);
  });

  it('accepts a created exactly five minutes from now', () => {
    for (const at of [now - 300, now + 300])
      expect(select(`("@method");${parameters}`, at).created).toBe(now);
  });

  it('selects the signature by its tag and rejects two with our tag', () => {
    const [inputs, signatures] = [
      [`sig=("@method");created=1;tag="proxy", b=("@method");${parameters}`],
      ['sig=:AA==:, b=:AQ==:'],
    ];
    expect(selectSignature(parseSignatures(inputs, signatures), now).label).toBe('b');
    const both = [inputs[0]!.replace('tag="proxy"', `tag="${TAG}"`)];
    expect(rejectionOf(() => selectSignature(parseSignatures(both, signatures), now))).toMatch(
      'more than one',
    );
  });

  it('does not count a component with other parameters as covered', () => {
    const covers = (text: string, required: readonly string[]) =>
      assertCovered(select(`(${text});${parameters}`), required);
    covers('"content-digest" "@method";req', ['content-digest', '"@method";req']);
    for (const text of ['', '"@method"', '"content-digest";key="sha-256"', '"content-digest";req'])
      expect(rejectionOf(() => covers(text, ['content-digest']))).toBe('a required component is not covered');
    expect(() => covers('"@method"', ['"@method";req'])).toThrow(InvalidSignature);
  });

  it('parses or rejects any text without another error', () => {
    const piece = fc.oneof(
      fc.constantFrom(
        'sig',
        '=',
        '(',
        ')',
        '"',
        ' ',
        '\t',
        ';',
        ',',
        ':',
        '?1',
        '@1',
        '%"',
        '\\',
        '-',
        '.',
        '9',
        'AA==',
      ),
      fc.constantFrom(
        '"@method"',
        `;tag="${TAG}"`,
        ';created=1',
        ';keyid="k"',
        'sig=()',
        'sig=:AA==:',
        '__proto__',
      ),
      fc.string({ maxLength: 4 }),
    );
    const field = fc.array(
      fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join('')),
      { maxLength: 3 },
    );
    const expectNoOtherError = (run: () => void) => {
      try {
        run();
      } catch (error) {
        expect(error).toBeInstanceOf(InvalidSignature);
      }
    };
    fc.assert(
      fc.property(field, field, (inputs, signatures) => {
        expectNoOtherError(() => void selectSignature(parseSignatures(inputs, signatures), 1));
        expectNoOtherError(
          () =>
            void signatureBase(inputOf(`("${inputs.join('').replace(/[^a-z@]/g, '')}")`), rfc.TEST_REQUEST),
        );
        expectNoOtherError(() => verifyContentDigest(inputs, Buffer.alloc(0)));
        expectNoOtherError(() => {
          for (const member of parseCanonicalDictionary(inputs).values())
            if (Array.isArray(member[0])) signatureBase(member as InnerList, rfc.TEST_REQUEST);
        });
      }),
      RUNS,
    );
  });

  it('accepts only one spelling of each value', () => {
    const key = fc.constantFrom('a', 'b', 'sig');
    const value = fc.constantFrom(
      '1',
      '01',
      '1.0',
      '-0',
      '?1',
      '?0',
      '"x"',
      'x',
      ':AA==:',
      ':AB==:',
      '@1',
      '()',
      '("a";b)',
      '( "a")',
    );
    const member = fc.tuple(key, value, fc.array(fc.tuple(key, value), { maxLength: 2 }));
    const spellings = new Map<string, string>();
    fc.assert(
      fc.property(fc.array(member, { minLength: 1, maxLength: 3 }), (members) => {
        const text = members
          .map(([name, is, more]) => `${name}=${is}${more.map(([n, v]) => `;${n}=${v}`).join('')}`)
          .join(', ');
        const read = () => JSON.stringify([...parseCanonicalDictionary([text])], replaceMaps);
        try {
          const meaning = read();
          const form = text.replaceAll(' ', '');
          expect(spellings.get(meaning) ?? form).toBe(form);
          spellings.set(meaning, form);
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidSignature);
        }
      }),
      RUNS,
    );
  });
});

/** A JSON replacer for maps and buffers. */
function replaceMaps(_: string, value: unknown): unknown {
  if (value instanceof Map) return [...(value as Map<unknown, unknown>)];
  if (value instanceof ArrayBuffer) return { bytes: [...new Uint8Array(value)] };
  return value;
}

describe('Content-Digest', () => {
  const body = Buffer.from(rfc.BODY);
  const good = contentDigest(body);

  it('accepts one or several matching digests', () => {
    verifyContentDigest([good], body);
    verifyContentDigest([good, rfc.DIGEST], body);
    verifyContentDigest([`${good}, new=:AA==:`], body);
  });

  it.each([
    ['absent', [], 'Content-Digest has no active algorithm'],
    ['of an unknown algorithm', ['new=:AA==:'], 'Content-Digest has no active algorithm'],
    ['named like an object property', ['constructor=:AA==:'], 'Content-Digest has no active algorithm'],
    ['wrong', [contentDigest(Buffer.from('{}'))], 'the body does not match Content-Digest'],
    ['correct and wrong', [good, rfc.RESPONSE_DIGEST], 'the body does not match Content-Digest'],
    ['MD5', ['md5=:Sd/dVLAcvNLSq16eXua5uQ==:'], 'Content-Digest has a deprecated algorithm'],
    [
      'correct, with SHA-1 beside it',
      [good, 'sha=:07CavjDP4u3/TungoUHJO/Wzr4c=:'],
      'Content-Digest has a deprecated algorithm',
    ],
    ['truncated', ['sha-256=:AA==:'], 'Content-Digest has the wrong length for its algorithm'],
    ['a string', ['sha-256="x"'], 'Content-Digest has the wrong length for its algorithm'],
    ['with a parameter', [`${good};a`], 'Content-Digest has the wrong length for its algorithm'],
    ['duplicate', [good, good], 'the header has a duplicate member'],
  ])('is rejected if it is %s', (_, lines, reason) => {
    expect(rejectionOf(() => verifyContentDigest(lines, body))).toBe(reason);
  });

  it('is rejected for any other body', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (other) => {
        if (!body.equals(other)) rejectionOf(() => verifyContentDigest([good], other));
      }),
      RUNS,
    );
  });
});

describe('importPublicJwk', () => {
  const jwk = (type: 'ec' | 'rsa' | 'ed25519' | 'ed448', options = {}) =>
    generateKeyPairSync(type as 'ec', options as { namedCurve: string }).publicKey.export({ format: 'jwk' });

  it('derives the algorithm from the key', () => {
    const algorithms = [
      jwk('ed25519'),
      jwk('ec', { namedCurve: 'P-256' }),
      jwk('ec', { namedCurve: 'P-384' }),
      jwk('rsa', { modulusLength: 2048 }),
    ].map((each) => importPublicJwk(each)?.algorithm);
    expect(algorithms).toEqual(['ed25519', 'ecdsa-p256-sha256', 'ecdsa-p384-sha384', 'rsa-pss-sha512']);
  });

  it('rejects keys that are too weak, too long or of another type', () => {
    const [rsa, p256] = [jwk('rsa', { modulusLength: 2048 }), jwk('ec', { namedCurve: 'P-256' })];
    const rejected: JsonWebKey[] = [
      jwk('rsa', { modulusLength: 1024 }),
      { ...rsa, e: 'AQ' },
      { ...rsa, e: 'Aw' },
      { ...rsa, n: Buffer.alloc(1024, 255).toString('base64url') },
      jwk('ec', { namedCurve: 'P-521' }),
      jwk('ec', { namedCurve: 'secp256k1' }),
      jwk('ed448'),
      { ...p256, x: p256.y!, y: p256.x! },
      { kty: 'oct', k: 'c2VjcmV0' },
      { kty: 'OKP', crv: 'Ed25519', x: 'AA' },
      {},
    ];
    expect(rejected.map((each) => importPublicJwk(each))).toEqual(rejected.map(() => undefined));
  });

  it('rejects Ed25519 keys of small order, which Node before version 24 accepts', async () => {
    const points = [
      ...['00', '01'].map((first) => first.padEnd(64, '0')),
      ...['ec', 'ed', 'ee'].map((first) => `${first.padEnd(62, 'f')}7f`),
      '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
      'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
    ].map((hex) => Buffer.from(hex, 'hex'));
    for (const point of points)
      for (const negative of [0, 0x80]) {
        const bytes = Buffer.from(point);
        bytes[31]! |= negative;
        const jwk = { kty: 'OKP', crv: 'Ed25519', x: bytes.toString('base64url') };
        const key = createPublicKey({ key: jwk, format: 'jwk' });
        // Created without any key. Each verifies at least one text in eight.
        const forged = points.map((first) => Buffer.concat([first, Buffer.alloc(32)]));
        const fits = async (text: string) =>
          (await Promise.all(forged.map((each) => verifySignature('ed25519', key, text, each)))).includes(
            true,
          );
        const texts = Array.from({ length: 100 }, (_, i) => `text ${i}`);
        expect((await Promise.all(texts.map(fits))).includes(true)).toBe(isBeforeNode24);
        expect(importPublicJwk(jwk)).toBeUndefined();
      }
  });

  it('verifySignature rejects signatures of another length, and ECDSA in DER', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const raw = sign('ecdsa-p256-sha256', privateKey, 'text');
    expect(raw).toHaveLength(64);
    const [r, s] = [raw.subarray(0, 32), raw.subarray(32)];
    const integer = (bytes: Buffer) => {
      const trimmed = bytes.subarray(bytes.findIndex((byte) => byte !== 0));
      const padded = trimmed[0]! & 0x80 ? Buffer.concat([Buffer.of(0), trimmed]) : trimmed;
      return Buffer.concat([Buffer.of(2, padded.length), padded]);
    };
    const both = Buffer.concat([integer(r), integer(s)]);
    const der = Buffer.concat([Buffer.of(0x30, both.length), both]);
    expect(await verifySignature('ecdsa-p256-sha256', publicKey, 'text', raw)).toBe(true);
    for (const other of [
      der,
      raw.subarray(1),
      Buffer.concat([raw, Buffer.of(0)]),
      Buffer.alloc(64),
      Buffer.alloc(0),
    ])
      expect(await verifySignature('ecdsa-p256-sha256', publicKey, 'text', other)).toBe(false);
    for (const algorithm of ['ed25519', 'hmac-sha256'] as const)
      for (const length of [0, 31, 63, 65])
        expect(
          await verifySignature(
            algorithm,
            algorithm === 'ed25519' ? rfc.ED25519 : rfc.SHARED,
            'text',
            Buffer.alloc(length),
          ),
        ).toBe(false);
    expect(await verifySignature('rsa-pss-sha512', rfc.RSA_PSS, 'text', Buffer.alloc(255))).toBe(false);
  });
});
