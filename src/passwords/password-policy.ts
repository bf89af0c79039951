import { dictionary } from '@zxcvbn-ts/language-common';
import { normalizePassword } from './password-hashing.service.js';

/** NIST SP 800-63B-4, section 3.1.1.2: longer where nothing else stands between a guess and the account. */
const AT_LEAST = 8;
const AT_LEAST_ALONE = 15;
const AT_MOST = 128;

/** The names that everybody tries first here. */
const PRODUCT = ['authatlas'];
/** A shorter name is in too many good passwords by chance. */
const TELLING = 4;

let common: ReadonlySet<string> | undefined;
const isCommon = (text: string) => (common ??= new Set(dictionary['passwords-common'])).has(text);

/** Whose password it is to be, and whether it stands alone. */
export interface PolicyContext {
  readonly username: string;
  /** True where no second factor is asked for. */
  readonly onlyFactor: boolean;
}

/**
 * What speaks against a new password; empty where nothing does. There are no rules of composition: every character
 * is good, spaces and emoji too, and counts as one.
 *
 * @returns sentences for the one who chose it, without the password in them
 */
export function passwordFaults(password: string, { username, onlyFactor }: PolicyContext): string[] {
  const length = [...normalizePassword(password)].length;
  const least = onlyFactor ? AT_LEAST_ALONE : AT_LEAST;
  if (length < least) return [`Must have at least ${least} characters.`];
  if (length > AT_MOST) return [`May have at most ${AT_MOST} characters.`];

  const faults: string[] = [];
  const folded = fold(password);
  const words = [folded, folded.replace(/\s/g, '')].map((text) => ({ text, unit: unitOf(text) }));
  if (words.some(({ unit }) => [...unit].length === 1)) faults.push('Must not be one character repeated.');
  else if (words.some(isRepeatOfCommon)) faults.push('Must not be a common password.');

  const letters = lettersOf(folded);
  const names = [username, username.split('@')[0]!].map(fold).map(lettersOf);
  if (names.some((name) => name.length >= TELLING && letters.includes(name)))
    faults.push('Must not contain the username.');
  if (PRODUCT.some((name) => letters.includes(name)))
    faults.push('Must not contain the name of this service.');
  return faults;
}

/** @throws Error with a sentence, for a password that is to be the only factor of this account and is not fit for it */
export function assertAcceptablePassword(password: string, username: string): void {
  const faults = passwordFaults(password, { username, onlyFactor: true });
  if (faults.length) throw new Error(`The password is too weak. ${faults.join(' ')}`);
}

/** For comparing only: full-width letters, ligatures and case are one to whoever guesses. */
const fold = (text: string) => text.normalize('NFKC').toLowerCase();
const lettersOf = (text: string) => text.replace(/[^\p{L}\p{N}]/gu, '');

/** The shortest text of which this one is a repetition: `abc` for `abcabc`, and itself for what repeats nothing. */
const unitOf = (text: string) => /^(.+?)\1+$/su.exec(text)?.[1] ?? text;

/** `123123` is in the list and `123` is not: so every number of repetitions is looked up, the whole text among them. */
const isRepeatOfCommon = ({ text, unit }: { text: string; unit: string }) => {
  for (let part = unit; part && part.length <= text.length; part += unit) if (isCommon(part)) return true;
  return false;
};
