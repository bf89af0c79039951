/** `Content-Digest` (RFC 9530 section 2). A signature covers headers; this header represents the body. */
import { createHash, hash } from 'node:crypto';
import { constantTimeEqual } from '../../crypto/constant-time.js';
import { InvalidSignature, parseCanonicalDictionary } from './http-signature.js';

/** The active algorithms of RFC 9530 section 5, with their names in node:crypto. */
const ACTIVE: Readonly<Record<string, string>> = { 'sha-256': 'sha256', 'sha-512': 'sha512' };
/** The deprecated algorithms of RFC 9530 section 5. They do not resist collisions. */
const DEPRECATED = ['md5', 'sha', 'unixsum', 'unixcksum', 'adler', 'crc32c'];

export const contentDigest = (body: Uint8Array): string => `sha-256=:${hash('sha256', body, 'base64')}:`;

/**
 * Compares a body with its digests. Every digest of an active algorithm must match.
 * @param lines the lines of the header
 * @throws InvalidSignature also if there is no active algorithm, or a deprecated one
 */
export function verifyContentDigest(lines: readonly string[], body: Uint8Array): void {
  let verified = false;
  for (const [name, [value, parameters]] of parseCanonicalDictionary(lines)) {
    if (DEPRECATED.includes(name)) throw new InvalidSignature('Content-Digest has a deprecated algorithm');
    const algorithm = Object.hasOwn(ACTIVE, name) && ACTIVE[name];
    if (!algorithm) continue;
    const digest = createHash(algorithm).update(body).digest();
    if (!(value instanceof ArrayBuffer) || parameters.size || value.byteLength !== digest.length)
      throw new InvalidSignature('Content-Digest has the wrong length for its algorithm');
    if (!constantTimeEqual(digest, Buffer.from(value)))
      throw new InvalidSignature('the body does not match Content-Digest');
    verified = true;
  }
  if (!verified) throw new InvalidSignature('Content-Digest has no active algorithm');
}
