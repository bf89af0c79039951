import { domainToASCII, domainToUnicode } from 'node:url';
import { z } from 'zod';

/** RFC 5321 section 4.5.3.1: a path has 256 characters, with its angle brackets. */
const MAX_LENGTH = 254;
const MAX_LOCAL_PART_LENGTH = 64;

/** A dot-atom of RFC 5322 section 3.2.3. Quoted local parts, comments and other alphabets are rejected. */
const LOCAL_PART = /^[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*$/;
/** Letters, digits and hyphens in any alphabet. */
const DOMAIN = /^[\p{L}\p{M}\p{Nd}.-]+$/u;
/** Two labels or more. The last one is no number, so that an IP address is no domain. */
const ASCII_DOMAIN = /^(?:[a-z\d](?:[a-z\d-]{0,61}[a-z\d])?\.)+(?!\d+$)[a-z\d](?:[a-z\d-]{0,61}[a-z\d])?$/;

/** The alphabets that a label may have. A label that mixes two, such as Latin and Cyrillic, imitates another name (UTS #39). */
const ALPHABETS = [
  ...['Latin', 'Greek', 'Cyrillic', 'Armenian', 'Georgian', 'Hebrew', 'Arabic', 'Devanagari', 'Bengali'],
  ...['Tamil', 'Telugu', 'Thai', 'Khmer', 'Sinhala', 'Ethiopic', 'Han,Hiragana,Katakana', 'Han,Hangul'],
].map((scripts) => {
  const letters = scripts.split(',').map((script) => `\\p{Script=${script}}`);
  return new RegExp(`^[${letters.join('')}\\p{Script=Common}\\p{Script=Inherited}]+$`, 'u');
});

/**
 * The canonical form of an e-mail address: ASCII in lower case, with the domain as in DNS (`xn--…`). It is stored, compared and
 * mailed to, and no other form is. Two addresses that look alike are different, or one of them is rejected.
 *
 * The local part is in lower case as well. RFC 5321 section 2.4 lets a mail server distinguish `Alice@` and `alice@`; none of
 * importance does, and people write both.
 *
 * @returns undefined if the text is not an address that this application accepts
 */
export function normalizeEmailAddress(text: string): string | undefined {
  const given = text.replace(/^[ \t]+|[ \t]+$/g, '');
  if (given.length > MAX_LENGTH || [...given].some(imitatesAscii)) return undefined;
  const [localPart = '', unicodeDomain = '', ...more] = given.split('@');
  if (more.length || localPart.length > MAX_LOCAL_PART_LENGTH || !LOCAL_PART.test(localPart))
    return undefined;
  const domain = asciiDomain(unicodeDomain);
  if (!domain) return undefined;
  const address = `${localPart.toLowerCase()}@${domain}`;
  return address.length <= MAX_LENGTH ? address : undefined;
}

/** Whether a character is not ASCII and has an equivalent that is, such as the full-width `@` or the Kelvin sign. */
const imitatesAscii = (character: string): boolean =>
  !/\p{ASCII}/u.test(character) && /\p{ASCII}/u.test(character.normalize('NFKC'));

function asciiDomain(text: string): string | undefined {
  const composed = text.normalize('NFC').toLowerCase();
  if (!DOMAIN.test(composed)) return undefined;
  const ascii = domainToASCII(composed);
  const unicode = domainToUnicode(ascii);
  // Otherwise UTS #46 has replaced or removed a character.
  if (!ASCII_DOMAIN.test(ascii) || ![ascii, unicode].includes(composed)) return undefined;
  // A domain in its DNS form is subject to the same rules as the name that it encodes. Node 24 leaves one as it is that encodes no name.
  const labels = unicode.split('.');
  return labels.every((label) => !label.startsWith('xn--') && hasOneAlphabet(label)) ? ascii : undefined;
}

const hasOneAlphabet = (label: string): boolean => ALPHABETS.some((alphabet) => alphabet.test(label));

/** A field of a body. The code that uses it normalizes it. */
export const EmailAddress = z
  .string()
  .max(2 * MAX_LENGTH)
  .refine((text) => normalizeEmailAddress(text) !== undefined, 'Must be an e-mail address.')
  .meta({ description: 'An e-mail address. The server checks more.' });
