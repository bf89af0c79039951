import { createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';

/**
 * A 256-bit key for one purpose (HKDF, RFC 5869). Keys of different purposes say nothing about each other or about
 * the secret, so what leaks from one use is of no use in another.
 *
 * @param purpose names the use: `passwords/attempts`
 */
export const deriveKey = (secret: string, purpose: string): KeyObject =>
  createSecretKey(Buffer.from(hkdfSync('sha256', secret, '', `auth-atlas/${purpose}`, 32)));
