import { DEMO_SECRET } from './demo-settings.js';

/** The message about a setting. */
export const GUESSABLE = 'is published or easy to guess. Generate one: openssl rand -base64 32';

/** NIST SP 800-57 part 1. */
const REQUIRED_BITS = 112;
/** The estimate of a random secret of 128 bits varies by about 10. */
const MIN_BITS = 96;
const MIN_REPETITION = 3;
/** About `log2` of the position and length of the earlier text. */
const REPETITION_BITS = 8;
/** The second character of a common pair of letters. */
const PAIR_BITS = 2.5;
const HEX_DIGITS = 16;
/** Shannon's estimate for English text, per character. */
const PROSE_BITS = 1.5;
const PLACEHOLDER = /(?:^|[^a-z0-9])demo(?:[^a-z0-9]|$)|change[_-]?me|example|placeholder|secret|passw/i;

/** The most frequent pairs of letters in English: about four of five. */
const COMMON_PAIRS = new Set(
  (
    'in er re ng st an te ed es en le at on ti ar un li ri de ra nt or th ne ro se al he is ss ve nd it co ta la ea ca ' +
    'et ac ic as di sh si ou ch pe ha to us ly il bl ma ce el tr ec ur pr me ke ge io sa ab pa ut nc lo ni ad ot am rt ' +
    'na ho mo ll ct oo po ol ba id ck cr ns sp vi im su ap fi ie ee pl ag tt mi ul em ts om gr mp ov da sc iv no ru bo ' +
    'hi if os cl ty ai op ig wi tu ow pi do um ev tl ep ir ci rd ia ry'
  ).split(' '),
);
const LETTERS_OF_DIGITS: Readonly<Record<string, string>> = {
  0: 'o',
  1: 'i',
  3: 'e',
  4: 'a',
  5: 's',
  7: 't',
};
const KEYBOARD = '1234567890qwertyuiopasdfghjklzxcvbnm';

const HEX = /^[0-9a-f-]+$/i;
const BASE64 = /^[\w+/-]+=*$/;

/**
 * Whether a secret is published, or does not look as if it came from a random generator.
 *
 * Written here because zxcvbn takes seconds for a long random secret, and does not see words in encoded text.
 */
export function isGuessable(secret: string): boolean {
  if (secret.includes(DEMO_SECRET) || PLACEHOLDER.test(secret)) return true;
  if (secret.length * Math.log2(alphabetOf(secret)) < REQUIRED_BITS) return true;
  if (HEX.test(secret)) return isGuessableHex(secret.replaceAll('-', '')) || patternBits(secret) < MIN_BITS;
  if (isProse(secret)) return secret.length * PROSE_BITS < MIN_BITS;
  if (patternBits(secret) < MIN_BITS) return true;
  if (!BASE64.test(secret)) return false;
  const bytes = Buffer.from(secret, 'base64');
  return isPrintable(bytes) || patternBits(bytes.toString('latin1')) < MIN_BITS;
}

/** Whether hexadecimal digits are an encoded text, or words such as `deadbeef`: six of sixteen digits are letters. */
const isGuessableHex = (digits: string) =>
  isPrintable(Buffer.from(digits, 'hex')) || digits.replace(/\d/g, '').length > 0.8 * digits.length;

/** Random bytes are not printable, so these are an encoded text. */
const isPrintable = (bytes: Buffer) => /^[\x20-\x7e\s]+$/.test(bytes.toString('latin1'));

/** Whether the pairs of letters are those of English: many more common ones than the one in five of random letters. */
function isProse(secret: string): boolean {
  const words = secret.replace(/[ ._-]/g, '');
  const withoutDigits = words.replace(/[013457]/g, (digit) => LETTERS_OF_DIGITS[digit]!);
  return hasCommonPairs(words, 5) || hasCommonPairs(withoutDigits, 8);
}

/** @param margin lets no random text of any length pass */
function hasCommonPairs(text: string, margin: number): boolean {
  const pairs = [...text.matchAll(/(?=([A-Za-z][a-z]|[A-Z]{2}))/g)].map(([, pair]) => pair!.toLowerCase());
  const common = pairs.filter((pair) => COMMON_PAIRS.has(pair)).length;
  return common >= margin + 0.45 * pairs.length;
}

/** Estimates the bits of entropy. Characters that repeat or continue earlier ones count for little. */
function patternBits(secret: string): number {
  const text = secret.toLowerCase();
  const alphabet = alphabetOf(secret);
  const perCharacter = Math.log2(Math.min(alphabet, new Set(secret).size + 2));
  let bits = 0;
  for (let i = 0; i < text.length;) {
    const repeated = repetitionAt(text, i);
    if (repeated * perCharacter > REPETITION_BITS) {
      bits += REPETITION_BITS;
      i += repeated;
      continue;
    }
    if (continuesSequence(text, i)) bits += 1;
    else if (alphabet > HEX_DIGITS && COMMON_PAIRS.has(text.slice(i - 1, i + 1))) bits += PAIR_BITS;
    else bits += perCharacter;
    i += 1;
  }
  return bits;
}

/** The length of the longest text at `start` that also occurs before. */
function repetitionAt(text: string, start: number): number {
  let length = MIN_REPETITION - 1;
  while (start + length < text.length && text.indexOf(text.slice(start, start + length + 1)) < start)
    length += 1;
  return length < MIN_REPETITION ? 0 : length;
}

/** Whether the character continues a run such as `abc`, `321`, `qwe` or, with others between, `a1b2c3d4`. */
function continuesSequence(text: string, at: number): boolean {
  const isRun = (length: number, stride: number, maxStep: number) =>
    [codeOf, keyOf].some((indexOf) => {
      const places = Array.from({ length }, (_, back) => indexOf(text[at - back * stride] ?? ''));
      const steps = places.slice(1).map((place, i) => place - places[i]!);
      return steps.every((step) => step === steps[0] && Math.abs(step) <= maxStep);
    });
  return isRun(3, 1, 1) || [1, 2, 3, 4].some((stride) => isRun(4, stride, 2));
}

const codeOf = (character: string) => character.charCodeAt(0);
const keyOf = (character: string) =>
  character && KEYBOARD.includes(character) ? KEYBOARD.indexOf(character) : NaN;

/** The number of characters in the alphabet that the secret seems to use. */
function alphabetOf(secret: string): number {
  if (/^\d+$/.test(secret)) return 10;
  if (HEX.test(secret)) return HEX_DIGITS;
  const classes: [RegExp, number][] = [
    [/[0-9]/, 10],
    [/[a-z]/, 26],
    [/[A-Z]/, 26],
    [/[^0-9a-zA-Z]/, 128],
  ];
  return classes.reduce((sum, [characters, count]) => sum + (characters.test(secret) ? count : 0), 0);
}
