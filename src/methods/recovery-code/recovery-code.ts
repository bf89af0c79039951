/**
 * Recovery codes: ten random codes that a person keeps on paper. Each replaces a lost second factor once.
 *
 *     POST /auth/mfa HTTP/1.1
 *     Content-Type: application/json
 *
 *     { "mfa_token": "…", "factor": "recovery-code", "code": "k7qp-2mzr-xt9w-h4cs" }
 */
import { createHmac, randomBytes, type KeyObject } from 'node:crypto';

export const CODES_PER_SET = 10;

/** Crockford's base32: without letters that people confuse with digits. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const CODE_LENGTH = 16;

/** 80 random bits as four groups of four characters. */
export function newRecoveryCode(): string {
  const characters = [...randomBytes(CODE_LENGTH)].map((byte) => ALPHABET[byte % ALPHABET.length]);
  return characters.join('').replace(/.{4}(?=.)/g, '$&-');
}

/** The canonical form of a typed code: lower case, without spaces and hyphens. @returns undefined if it cannot be a code */
export function normalizeRecoveryCode(text: string): string | undefined {
  const code = text.replace(/[\s-]/g, '').toLowerCase().replaceAll('o', '0').replace(/[il]/g, '1');
  return code.length === CODE_LENGTH && [...code].every((each) => ALPHABET.includes(each)) ? code : undefined;
}

/**
 * The stored form: an HMAC, because 80 bits are too few for a plain hash of a stolen database.
 * @param code of {@link normalizeRecoveryCode}
 */
export const recoveryCodeMac = (key: KeyObject, accountId: string, code: string): string =>
  createHmac('sha256', key).update(`${accountId}:${code}`).digest('base64url');
