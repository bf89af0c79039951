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
import * as rfc from './http-signature.vectors.js';

/** Inputs of a property; a counterexample is shrunk and printed. */
const RUNS = { numRuns: 10_000 };

const inputOf = (text: string) => parseDictionary(`sig=${text}`).get('sig') as InnerList;
const baseOf = (text: string, message: Message = rfc.TEST_REQUEST) => signatureBase(inputOf(text), message);
/** The lines of a signature base, without the last, which holds the parameters. */
const linesOf = (text: string, message?: Message) => baseOf(text, message).split('\n').slice(0, -1);
const bytes = (base64: string) => Buffer.from(base64, 'base64');
const refusedAs = (run: () => unknown) => {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidSignature);
    return (error as InvalidSignature).message;
  }
  throw new Error('it was accepted');
};

describe('SIG-01: the vectors of RFC 9421', () => {
  it.each(rfc.VECTORS)(
    '$name: the base is the one that is printed, and its signature is good',
    async (vector) => {
      const base = baseOf(vector.input, vector.message);
      expect(base).toBe([...vector.base, `"@signature-params": ${vector.input}`].join('\n'));
      expect(await verifySignature(vector.algorithm, vector.key, base, bytes(vector.signature))).toBe(true);
      for (const altered of [`${base} `, base.replace('1618884473', '1618884474')])
        expect(await verifySignature(vector.algorithm, vector.key, altered, bytes(vector.signature))).toBe(
          false,
        );
      if (vector.signer)
        expect(sign(vector.algorithm, vector.signer, base).toString('base64')).toBe(vector.signature);
    },
  );

  it('B.1: what the private keys sign anew, the public ones verify', async () => {
    for (const [algorithm, privateKey, publicKey] of [
      ['rsa-pss-sha512', rfc.RSA_PSS_PRIVATE, rfc.RSA_PSS],
      ['ecdsa-p256-sha256', rfc.P256_PRIVATE, rfc.P256],
      ['ed25519', rfc.ED25519_PRIVATE, rfc.ED25519],
    ] as const)
      expect(await verifySignature(algorithm, publicKey, 'text', sign(algorithm, privateKey, 'text'))).toBe(
        true,
      );
  });

  it('B.2: the digests are those of the bodies', () => {
    verifyContentDigest([rfc.DIGEST], Buffer.from(rfc.BODY));
    verifyContentDigest([rfc.RESPONSE_DIGEST], Buffer.from(rfc.RESPONSE_BODY));
  });

  it.each(rfc.TRANSFORMED)('B.4: $name, it is valid: $valid', async ({ message, valid }) => {
    const base = baseOf(rfc.TRANSFORM_INPUT, message);
    expect(await verifySignature('ed25519', rfc.ED25519, base, bytes(rfc.TRANSFORM_SIGNATURE))).toBe(valid);
  });

  it('B.4: Ed25519 makes the same signature again', () => {
    const base = baseOf(rfc.TRANSFORM_INPUT, rfc.TRANSFORMED[0]!.message);
    expect(sign('ed25519', rfc.ED25519_PRIVATE, base).toString('base64')).toBe(rfc.TRANSFORM_SIGNATURE);
  });

  it('SIG-24: B.3 is not valid for another certificate', async () => {
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

  it('4.3: a proxy signs beside the client, with an algorithm that no key of ours has', async () => {
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

it('the exchange that the page shows is a real one', async () => {
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

describe('the signature base', () => {
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

  it('2.2: has the derived components of a request', () => {
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

  it('2.2: knows an absent query from an empty path, and a port that matters from one that does not', () => {
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

  it('2.1: has fields as they came, written strictly, as bytes, or one member of them', () => {
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
    ['SIG-14: the status of a request', '("@status")', 'a request has no such component'],
    ['SIG-14: what nobody has defined', '("@user")', 'a request has no such component'],
    ['the parameters as one of themselves', '("@signature-params")', 'a request has no such component'],
    ['a field in upper case', '("Host")', 'a component is neither derived nor a field'],
    ['an empty name', '("")', 'a component is neither derived nor a field'],
    ['a token for a name', '(host)', 'a component is named by something else than a string'],
    ['a component twice', '("@method" "@path" "@method")', 'a component is covered twice'],
    [
      'a component twice, its parameters in another order',
      '("priority";sf;key="a" "priority";key="a";sf)',
      'a component is covered twice',
    ],
    ['a field that is absent', '("x-absent")', 'a field that is covered is absent'],
    ['SIG-17: a trailer', '("expires";tr)', 'a component has a parameter that is not known here'],
    ['SIG-17: an unknown parameter', '("host";x)', 'a component has a parameter that is not known here'],
    ['SIG-17: a flag that is off', '("host";sf=?0)', 'a component has a parameter that is not known here'],
    [
      'SIG-17: a key that is no string',
      '("priority";key=a)',
      'a component has a parameter that is not known here',
    ],
    ['SIG-17: req in a request', '("@method";req)', 'a request answers no request'],
    ['SIG-17: bs with sf', '("priority";bs;sf)', 'bs goes with neither sf nor key'],
    ['SIG-17: bs with key', '("priority";bs;key="a")', 'bs goes with neither sf nor key'],
    ['SIG-17: a key that is not there', '("priority";key="z")', 'a field has no such member'],
    ['SIG-17: a key of what is no dictionary', '("client-cert-chain";key="a")', 'a field has no such member'],
    [
      'SIG-17: a key of a name that every object has',
      '("priority";key="constructor")',
      'a field has no such member',
    ],
    ['SIG-17: sf of a field that is not known', '("x-ows";sf)', 'a field is not known to be structured'],
    ['SIG-17: sf of a derived component', '("@method";sf)', 'a derived component has a parameter of a field'],
    ['SIG-17: a name of a field', '("host";name="a")', 'a field has a parameter of a derived component'],
    ['a name of a derived component', '("@path";name="a")', 'a derived component has a parameter of a field'],
    ['a query parameter without its name', '("@query-param")', 'a query parameter is absent, or came twice'],
    [
      'a query parameter that is absent',
      '("@query-param";name="z")',
      'a query parameter is absent, or came twice',
    ],
    ['SIG-16: a folded line', '("x-fold")', 'a component has characters that cannot be signed'],
    ['what is not ASCII', '("x-latin")', 'a component has characters that cannot be signed'],
  ])('refuses %s', (_, components, reason) => {
    expect(refusedAs(() => baseOf(components, message))).toBe(reason);
  });

  it('refuses a query parameter that came twice', () => {
    const twice = rfc.request('GET /?a=1&%61=2', [['Host', 'a.test']]);
    expect(refusedAs(() => baseOf('("@query-param";name="a")', twice))).toMatch('came twice');
  });

  it('refuses a structured field that is none', () => {
    const broken = rfc.request('GET /', [['Priority', 'a=,']]);
    for (const components of ['("priority";sf)', '("priority";key="a")'])
      expect(refusedAs(() => baseOf(components, broken))).toBe('a field is not what sf says it is');
  });

  it('refuses of a response what only requests have', () => {
    const response = rfc.boundTo(rfc.TEST_REQUEST);
    expect(refusedAs(() => baseOf('("@method")', response))).toBe('a response has no such component');
    expect(refusedAs(() => baseOf('("@status";req)', response))).toBe('a request has no such component');
  });

  it('is another one for every other request, where all that must be covered is', () => {
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
        // What means the same by definition is one: the case of a host, its default port, an empty query.
        const [path, ...query] = target.split('?');
        const host = authority.toLowerCase().replace(/:443$/, '');
        const meant = JSON.stringify([method, host, path, query.join('?'), digest.trim()]);
        expect(seen.get(base) ?? meant).toBe(meant);
        seen.set(base, meant);
      }),
      RUNS,
    );
  });
});

describe('the two fields', () => {
  const now = 1_618_884_473;
  const parameters = `created=${now};keyid="k";nonce="n";tag="${TAG}"`;
  const ours = (text: string, at = now) =>
    selectSignature(parseSignatures([`sig=${text}`], ['sig=:AA==:']), at);

  it('are read together', () => {
    const { label, created, keyid, nonce, alg, signature } = ours(`("@method");${parameters};alg="ed25519"`);
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
    ['SIG-08: a label twice in a line', ['sig=(), sig=()'], ['sig=:AA==:']],
    ['SIG-08: a label twice in two lines', ['sig=()', 'sig=()'], ['sig=:AA==:']],
    ['SIG-08: a signature twice', ['sig=()'], ['sig=:AA==:, sig=:AA==:']],
  ])('%s is ambiguous', (_, inputs, signatures) => {
    expect(() => parseSignatures(inputs, signatures)).toThrow(expect.objectContaining({ twice: true }));
  });

  it.each([
    ['no dictionary', ['sig=('], ['sig=:AA==:'], 'the field is not a dictionary'],
    ['a line that ends within a string', ['sig=("a', 'b")'], ['sig=:AA==:'], 'the field is not a dictionary'],
    ['a field too long', [`sig=("${'a'.repeat(9_000)}")`], ['sig=:AA==:'], 'the field is too long'],
    [
      'a parameter twice',
      ['sig=();created=1;created=2'],
      ['sig=:AA==:'],
      'the field is not in its canonical form',
    ],
    [
      'a number in another spelling',
      ['sig=();created=01'],
      ['sig=:AA==:'],
      'the field is not in its canonical form',
    ],
    [
      'a truth in another spelling',
      ['sig=("a";sf=?1)'],
      ['sig=:AA==:'],
      'the field is not in its canonical form',
    ],
    [
      'SIG-21: base64 in another spelling',
      ['sig=()'],
      ['sig=:AB==:'],
      'the field is not in its canonical form',
    ],
    [
      'SIG-21: base64 without its padding',
      ['sig=()'],
      ['sig=:AA:'],
      'the field is not in its canonical form',
    ],
    ['SIG-21: base64 with a space', ['sig=()'], ['sig=:AA ==:'], 'the field is not a dictionary'],
    ['SIG-10: an input without a signature', ['sig=()'], [], 'the labels of the two fields differ'],
    ['SIG-10: a signature without an input', [], ['sig=:AA==:'], 'the labels of the two fields differ'],
    ['SIG-10: labels that differ', ['sig=()'], ['sig1=:AA==:'], 'a signature is missing, or is not bytes'],
    ['a signature that is no bytes', ['sig=()'], ['sig="AA=="'], 'a signature is missing, or is not bytes'],
    ['a signature with a parameter', ['sig=()'], ['sig=:AA==:;a'], 'a signature is missing, or is not bytes'],
    ['an input that is no list', ['sig=1'], ['sig=:AA==:'], 'a member of Signature-Input is no list'],
  ])('%s is refused', (_, inputs, signatures, reason) => {
    expect(refusedAs(() => parseSignatures(inputs, signatures))).toBe(reason);
  });

  it.each([
    ['SIG-04: no created', `keyid="k";tag="${TAG}"`, 'created or keyid is missing'],
    [
      'SIG-04: an old one',
      parameters.replace(`${now}`, `${now - 301}`),
      'it was not created in these minutes',
    ],
    [
      'SIG-04: one to come',
      parameters.replace(`${now}`, `${now + 301}`),
      'it was not created in these minutes',
    ],
    ['SIG-04: one that expires now', `${parameters};expires=${now}`, 'it has expired'],
    [
      'SIG-04: one that expires before it was created',
      `created=${now + 9};expires=${now + 8};keyid="k";tag="${TAG}"`,
      'it has expired',
    ],
    [
      'SIG-04: a moment with a fraction',
      `created=${now}.5;keyid="k";tag="${TAG}"`,
      'a moment is not a whole number',
    ],
    ['SIG-04: a moment before 1970', `created=-1;keyid="k";tag="${TAG}"`, 'a moment is not a whole number'],
    [
      'SIG-04: a moment as a text',
      `created="${now}";keyid="k";tag="${TAG}"`,
      'a moment is not a whole number',
    ],
    [
      'SIG-04: a moment as a Date',
      `keyid="k";tag="${TAG}";created=@${now}`,
      'a moment is not a whole number',
    ],
    ['SIG-07: no key', `created=${now};tag="${TAG}"`, 'created or keyid is missing'],
    [
      'SIG-07: a token as the key',
      `created=${now};keyid=k;tag="${TAG}"`,
      'a parameter is not a text of 1 to 255 characters',
    ],
    [
      'SIG-05: an empty nonce',
      `created=${now};keyid="k";nonce="";tag="${TAG}"`,
      'a parameter is not a text of 1 to 255 characters',
    ],
    [
      'SIG-05: an endless nonce',
      `created=${now};keyid="k";nonce="${'n'.repeat(256)}";tag="${TAG}"`,
      'a parameter is not a text of 1 to 255 characters',
    ],
    ['SIG-09: no tag', `created=${now};keyid="k"`, 'no signature has our tag'],
    ['SIG-09: the tag of another', `created=${now};keyid="k";tag="other"`, 'no signature has our tag'],
    ['SIG-09: our tag as a token', `created=${now};keyid="k";tag=${TAG}`, 'no signature has our tag'],
    [
      'a parameter that is not known',
      `${parameters};x`,
      'a parameter is not known here, so it cannot be kept to',
    ],
  ])('%s is refused', (_, text, reason) => {
    expect(refusedAs(() => ours(`("@method");${text}`))).toBe(reason);
  });

  it('SIG-04: the edges of five minutes are still in them', () => {
    for (const at of [now - 300, now + 300]) expect(ours(`("@method");${parameters}`, at).created).toBe(now);
  });

  it('SIG-08: a signature is chosen by its tag, whatever its label; of two with our tag none is', () => {
    const [inputs, signatures] = [
      [`sig=("@method");created=1;tag="proxy", b=("@method");${parameters}`],
      ['sig=:AA==:, b=:AQ==:'],
    ];
    expect(selectSignature(parseSignatures(inputs, signatures), now).label).toBe('b');
    const both = [inputs[0]!.replace('tag="proxy"', `tag="${TAG}"`)];
    expect(refusedAs(() => selectSignature(parseSignatures(both, signatures), now))).toMatch('more than one');
  });

  it('what must be covered is covered as it is, not in part', () => {
    const covers = (text: string, required: readonly string[]) =>
      assertCovered(ours(`(${text});${parameters}`), required);
    covers('"content-digest" "@method";req', ['content-digest', '"@method";req']);
    for (const text of ['', '"@method"', '"content-digest";key="sha-256"', '"content-digest";req'])
      expect(refusedAs(() => covers(text, ['content-digest']))).toBe('it does not cover all that it must');
    expect(() => covers('"@method"', ['"@method";req'])).toThrow(InvalidSignature);
  });

  it('no text makes the reader do anything but read or refuse', () => {
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
    const reads = (run: () => void) => {
      try {
        run();
      } catch (error) {
        expect(error).toBeInstanceOf(InvalidSignature);
      }
    };
    fc.assert(
      fc.property(field, field, (inputs, signatures) => {
        reads(() => void selectSignature(parseSignatures(inputs, signatures), 1));
        reads(
          () =>
            void signatureBase(inputOf(`("${inputs.join('').replace(/[^a-z@]/g, '')}")`), rfc.TEST_REQUEST),
        );
        reads(() => verifyContentDigest(inputs, Buffer.alloc(0)));
        reads(() => {
          for (const member of parseCanonicalDictionary(inputs).values())
            if (Array.isArray(member[0])) signatureBase(member as InnerList, rfc.TEST_REQUEST);
        });
      }),
      RUNS,
    );
  });

  it('whatever is read has one spelling', () => {
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
    const spelt = new Map<string, string>();
    fc.assert(
      fc.property(fc.array(member, { minLength: 1, maxLength: 3 }), (members) => {
        const text = members
          .map(([name, is, more]) => `${name}=${is}${more.map(([n, v]) => `;${n}=${v}`).join('')}`)
          .join(', ');
        const read = () => JSON.stringify([...parseCanonicalDictionary([text])], plain);
        try {
          const meaning = read();
          const form = text.replaceAll(' ', '');
          expect(spelt.get(meaning) ?? form).toBe(form);
          spelt.set(meaning, form);
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidSignature);
        }
      }),
      RUNS,
    );
  });
});

/** What JSON would leave out. */
function plain(_: string, value: unknown): unknown {
  if (value instanceof Map) return [...(value as Map<unknown, unknown>)];
  if (value instanceof ArrayBuffer) return { bytes: [...new Uint8Array(value)] };
  return value;
}

describe('SIG-11: Content-Digest', () => {
  const body = Buffer.from(rfc.BODY);
  const good = contentDigest(body);

  it('binds the body by one algorithm or by several', () => {
    verifyContentDigest([good], body);
    verifyContentDigest([good, rfc.DIGEST], body);
    verifyContentDigest([`${good}, new=:AA==:`], body);
  });

  it.each([
    ['absent', [], 'Content-Digest has no algorithm that binds'],
    ['of nothing that is known', ['new=:AA==:'], 'Content-Digest has no algorithm that binds'],
    ['of a name that every object has', ['constructor=:AA==:'], 'Content-Digest has no algorithm that binds'],
    ['wrong', [contentDigest(Buffer.from('{}'))], 'the body is another one'],
    ['right and wrong', [good, rfc.RESPONSE_DIGEST], 'the body is another one'],
    ['of MD5', ['md5=:Sd/dVLAcvNLSq16eXua5uQ==:'], 'Content-Digest has an algorithm that is broken'],
    [
      'right, and of SHA-1',
      [good, 'sha=:07CavjDP4u3/TungoUHJO/Wzr4c=:'],
      'Content-Digest has an algorithm that is broken',
    ],
    ['cut off', ['sha-256=:AA==:'], 'Content-Digest is not of the length of its algorithm'],
    ['a text', ['sha-256="x"'], 'Content-Digest is not of the length of its algorithm'],
    ['with a parameter', [`${good};a`], 'Content-Digest is not of the length of its algorithm'],
    ['twice', [good, good], 'a member of the field came twice'],
  ])('is refused where it is %s', (_, lines, reason) => {
    expect(refusedAs(() => verifyContentDigest(lines, body))).toBe(reason);
  });

  it('SIG-12: is refused for any other body', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (other) => {
        if (!body.equals(other)) refusedAs(() => verifyContentDigest([good], other));
      }),
      RUNS,
    );
  });
});

describe('keys', () => {
  const jwk = (type: 'ec' | 'rsa' | 'ed25519' | 'ed448', options = {}) =>
    generateKeyPairSync(type as 'ec', options as { namedCurve: string }).publicKey.export({ format: 'jwk' });

  it('each has one algorithm, which nobody chooses', () => {
    const algorithms = [
      jwk('ed25519'),
      jwk('ec', { namedCurve: 'P-256' }),
      jwk('ec', { namedCurve: 'P-384' }),
      jwk('rsa', { modulusLength: 2048 }),
    ].map((each) => importPublicJwk(each)?.algorithm);
    expect(algorithms).toEqual(['ed25519', 'ecdsa-p256-sha256', 'ecdsa-p384-sha384', 'rsa-pss-sha512']);
  });

  it('that are too weak, too long or of another kind are none', () => {
    const [rsa, p256] = [jwk('rsa', { modulusLength: 2048 }), jwk('ec', { namedCurve: 'P-256' })];
    const refused: JsonWebKey[] = [
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
    expect(refused.map((each) => importPublicJwk(each))).toEqual(refused.map(() => undefined));
  });

  it('by which everybody can sign are none, although OpenSSL takes them', async () => {
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
        // Made without any key at all; each fits one text in eight, or more.
        const forged = points.map((first) => Buffer.concat([first, Buffer.alloc(32)]));
        const fits = async (text: string) =>
          (await Promise.all(forged.map((each) => verifySignature('ed25519', key, text, each)))).includes(
            true,
          );
        const texts = Array.from({ length: 100 }, (_, i) => `text ${i}`);
        expect(await Promise.all(texts.map(fits))).toContain(true);
        expect(importPublicJwk(jwk)).toBeUndefined();
      }
  });

  it('SIG-21: a signature has the length of its algorithm, and ECDSA is never DER', async () => {
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
