import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { isMailAddress } from '../../src/mail/mail.js';
import { EmailAddress, normalizeEmailAddress } from '../../src/users/email-address.js';

const ACCEPTED: readonly (readonly [string, string])[] = [
  ['alice@acme.example', 'alice@acme.example'],
  [' \tAlice@ACME.Example ', 'alice@acme.example'],
  ['a.b+tag@sub.acme.example', 'a.b+tag@sub.acme.example'],
  ["o'neil_!#$%&*/=?^`{|}~-@acme.example", "o'neil_!#$%&*/=?^`{|}~-@acme.example"],
  ['1@2.example', '1@2.example'],
  ['alice@bücher.example', 'alice@xn--bcher-kva.example'],
  ['alice@BÜCHER.example', 'alice@xn--bcher-kva.example'],
  ['alice@bu\u0308cher.example', 'alice@xn--bcher-kva.example'],
  ['alice@xn--bcher-kva.example', 'alice@xn--bcher-kva.example'],
  ['alice@straße.example', 'alice@xn--strae-oqa.example'],
  ['alice@пример.example', 'alice@xn--e1afmkfd.example'],
  ['alice@例え.example', 'alice@xn--r8jz45g.example'],
  ['alice@カタカナ漢字ひらがな-2.example', 'alice@xn---2-273a2epb8iuja3ple7955ciw3b.example'],
  ['alice@한국.example', 'alice@xn--3e0b707e.example'],
  [`${'a'.repeat(64)}@acme.example`, `${'a'.repeat(64)}@acme.example`],
];

const REJECTED: Readonly<Record<string, readonly string[]>> = {
  'no address': ['', '@', 'alice', 'alice@', '@acme.example', 'alice@acme', 'alice acme.example'],
  'several @': [
    'a@b@acme.example',
    'alice@acme.example@evil.example',
    '"a@b"@acme.example',
    '@alice@acme.example',
  ],
  'a look-alike of @': [
    'alice\uff20acme.example',
    'alice\ufe6bacme.example',
    'alice\uff20evil.example@acme.example',
  ],
  'a look-alike of an ASCII letter': [
    '\uff41lice@acme.example',
    'alice@\uff41cme.example',
    'alice@acme\u3002example',
    'alice@acme\uff0eexample',
    'ali\u212ae@acme.example',
    'alice@\u212aacme.example',
    'alice@acme.example\u2024com',
    'alice@o\ufb03ce.example',
    'alice@\u2460.example',
    'alice@acme\u2488example',
  ],
  'characters that disappear': [
    'ali\u00adce@acme.example',
    'alice@ac\u00adme.example',
    'alice@ac\u200bme.example',
    'alice@ac\u200dme.example',
    'alice\u202e@acme.example',
    '\ufeffalice@acme.example',
    'alice@acme.example\u00a0',
    'alice@acme.example\ufe0f',
  ],
  'control characters and line breaks': [
    'alice@acme.example\r\nBcc: mallory@globex.example',
    'alice@acme.example\r\n',
    'alice@acme.example\n',
    'alice\r@acme.example',
    'alice@acme.example\0',
    'alice\0@acme.example',
    'alice@acme.example\u0085',
    'alice@acme.example\u2028',
    'alice@ac\u007fme.example',
  ],
  'quotes, comments, lists and display names': [
    '"alice"@acme.example',
    '"alice smith"@acme.example',
    'alice(comment)@acme.example',
    'alice@(comment)acme.example',
    'alice@acme.example (Alice)',
    'Alice <alice@acme.example>',
    '<alice@acme.example>',
    'alice@acme.example,bob@acme.example',
    'alice@acme.example;bob@acme.example',
    'alice smith@acme.example',
    'alice\\@acme.example',
    'mailto:alice@acme.example',
    'alice%40acme.example',
  ],
  'dots in the wrong place': [
    '.alice@acme.example',
    'alice.@acme.example',
    'a..b@acme.example',
    'alice@.acme.example',
    'alice@acme..example',
    'alice@acme.example.',
  ],
  'IP addresses': [
    'alice@127.0.0.1',
    'alice@[127.0.0.1]',
    'alice@[IPv6:::1]',
    'alice@0x7f.1',
    'alice@127.1',
    'alice@2130706433',
    'alice@1.2.3.4.5',
  ],
  'other invalid domains': [
    'alice@-acme.example',
    'alice@acme-.example',
    'alice@ac_me.example',
    'alice@acme.example:25',
    'alice@acme.example/x',
    'alice@acme.123',
    `alice@${'a'.repeat(64)}.example`,
    'alice@xn--a.example',
    'alice@xn--.example',
    'alice@xn--abc-.example',
    'alice@xn--zzzzzz.example',
    'alice@mail.xn--x.example',
  ],
  'labels that mix alphabets': [
    'alice@\u0430cme.example',
    'alice@acm\u0435.example',
    'alice@xn--cme-5cd.example',
    'alice@p\u0430yp\u0430l.example',
    'alice@acme.ex\u0430mple',
    'alice@\u03bfpen.example',
    'alice@goog\u04cfe.example',
    'alice@acme\u5de5.example',
  ],
  'another alphabet in the local part': [
    '\u0430lice@acme.example',
    'jörg@acme.example',
    'ali\u0131ce@acme.example',
  ],
  'more than the lengths of RFC 5321': [
    `${'a'.repeat(65)}@acme.example`,
    `a@${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(63)}.${'e'.repeat(54)}.example`,
    `alice@${`${'ü'.repeat(30)}.`.repeat(7)}example`,
  ],
};

describe('an e-mail address', () => {
  it.each(ACCEPTED)('%j is stored as %j', (given, stored) => {
    expect(normalizeEmailAddress(given)).toBe(stored);
    expect(normalizeEmailAddress(stored)).toBe(stored);
    expect(isMailAddress(stored)).toBe(true);
  });

  it.each(Object.entries(REJECTED))('with %s is rejected', (_reason, all) => {
    for (const given of all) expect([given, normalizeEmailAddress(given)]).toEqual([given, undefined]);
  });

  it('has one form, in ASCII, that a mail server accepts', () => {
    const parts = fc.constantFrom(
      ...'aZ0.-_+@ ü\u0430\u212a\uff20\u0130\u00df\u017f\ufb01\r\n"<>',
      'xn--',
      '.example',
      'acme',
    );
    const texts = fc.oneof(
      fc.array(parts, { maxLength: 15 }).map((list) => `a@${list.join('')}.example`),
      fc.array(parts, { maxLength: 15 }).map((list) => `${list.join('')}@acme.example`),
      fc.emailAddress(),
      fc.string({ unit: 'binary' }),
    );
    fc.assert(
      fc.property(texts, (given) => {
        const stored = normalizeEmailAddress(given);
        if (stored === undefined) return;
        expect(stored).toMatch(/^[\x21-\x7e]+$/);
        expect(stored).toBe(stored.toLowerCase());
        expect(isMailAddress(stored)).toBe(true);
        expect(normalizeEmailAddress(stored)).toBe(stored);
        // Not `toUpperCase`: that of ß is another name.
        const upperCase = given.replace(/[a-z]/g, (letter) => letter.toUpperCase());
        expect(normalizeEmailAddress(upperCase)).toBe(stored);
      }),
      { numRuns: 10_000 },
    );
  });

  it('is a field of a body', () => {
    expect(EmailAddress.safeParse('alice@acme.example').success).toBe(true);
    for (const value of ['alice', '', 1, null, ['alice@acme.example'], 'x'.repeat(600)])
      expect(EmailAddress.safeParse(value).success).toBe(false);
  });
});
