import { UnprocessableEntityException } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { UserEmail } from '../users/user-email.entity.js';
import type { User } from '../users/user.entity.js';
import { normalizePassword } from './password-hashing.service.js';

/** Characters. NIST SP 800-63B-4 section 3.1.1.2 requires more if the password is the only factor. */
export const MIN_LENGTH_WITH_SECOND_FACTOR = 8;
export const MIN_LENGTH_ONLY_FACTOR = 15;
const MAX_LENGTH = 128;

const SERVICE_NAMES = ['authatlas'];
/** Characters. Many strong passwords contain a shorter username by chance. */
const MIN_CHECKED_NAME_LENGTH = 4;

let commonPasswords: ReadonlySet<string> | undefined;

/** Tens of thousands of passwords, which few processes need. */
async function loadCommonPasswords(): Promise<ReadonlySet<string>> {
  const { dictionary } = await import('@zxcvbn-ts/language-common');
  return (commonPasswords ??= new Set(dictionary['passwords-common']));
}

export interface PolicyContext {
  readonly username: string;
  readonly email?: string | undefined;
  /** Whether the account has no second factor. */
  readonly onlyFactor: boolean;
}

/**
 * Checks a new password. There are no composition rules: every character is allowed, including spaces and emoji, and
 * counts as one.
 *
 * @returns one sentence per fault for the user, never the password; empty for an acceptable password
 */
export async function passwordFaults(
  password: string,
  { username, email, onlyFactor }: PolicyContext,
): Promise<string[]> {
  const length = [...normalizePassword(password)].length;
  const minLength = onlyFactor ? MIN_LENGTH_ONLY_FACTOR : MIN_LENGTH_WITH_SECOND_FACTOR;
  if (length < minLength) return [`Must have at least ${minLength} characters.`];
  if (length > MAX_LENGTH) return [`May have at most ${MAX_LENGTH} characters.`];

  const common = await loadCommonPasswords();
  const faults: string[] = [];
  const folded = fold(password);
  const words = [folded, folded.replace(/\s/g, '')].map((text) => ({ text, unit: repeatingUnit(text) }));
  if (words.some(({ unit }) => [...unit].length === 1)) faults.push('Must not be one character repeated.');
  else if (words.some((word) => isRepeatedOf(common, word))) faults.push('Must not be a common password.');

  const letters = lettersOf(folded);
  const contains = (name: string) =>
    [name, name.split('@')[0]!]
      .map((part) => lettersOf(fold(part)))
      .some((part) => part.length >= MIN_CHECKED_NAME_LENGTH && letters.includes(part));
  if (contains(username)) faults.push('Must not contain the username.');
  else if (email !== undefined && contains(email)) faults.push('Must not contain the e-mail address.');
  if (SERVICE_NAMES.some((name) => letters.includes(name)))
    faults.push('Must not contain the name of this service.');
  return faults;
}

/** The context in which {@link passwordFaults} checks a new password of an account. */
export async function policyContextOf(
  manager: EntityManager,
  { id, username, mfaSince }: User,
): Promise<PolicyContext> {
  const email = await manager.findOneBy(UserEmail, { userId: id });
  return { username, ...(email && { email: email.address }), onlyFactor: mfaSince === null };
}

/**
 * Rejects the password in a field of a body.
 * @param faults of {@link passwordFaults}
 * @throws UnprocessableEntityException `invalid_body`
 */
export function assertNoFaults(field: string, faults: readonly string[]): void {
  if (!faults.length) return;
  throw new UnprocessableEntityException({
    code: 'invalid_body',
    detail: 'The new password is too weak.',
    errors: faults.map((message) => ({ field, message })),
  });
}

/** @throws Error with one sentence per fault, never the password */
export async function assertAcceptablePassword(password: string, context: PolicyContext): Promise<void> {
  const faults = await passwordFaults(password, context);
  if (faults.length) throw new Error(`The password is too weak. ${faults.join(' ')}`);
}

/** For comparison only: ignores case, full-width letters and ligatures, as a guesser does. */
const fold = (text: string) => text.normalize('NFKC').toLowerCase();
const lettersOf = (text: string) => text.replace(/[^\p{L}\p{N}]/gu, '');

/** The shortest text that repeats to the given one: `abc` for `abcabc`, `abcd` for `abcd`. */
const repeatingUnit = (text: string) => /^(.+?)\1+$/su.exec(text)?.[1] ?? text;

/** Looks up every number of repetitions: the list contains `123123`, but not `123`. */
function isRepeatedOf(common: ReadonlySet<string>, { text, unit }: { text: string; unit: string }): boolean {
  for (let part = unit; part && part.length <= text.length; part += unit) if (common.has(part)) return true;
  return false;
}
