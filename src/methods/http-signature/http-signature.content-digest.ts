/** `Content-Digest` (RFC 9530): a signature covers fields, and this field stands for the body. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { InvalidSignature, readDictionary } from './http-signature.js';

/** The algorithms of RFC 9530 that still bind, by their names in node:crypto. */
const STRONG: Readonly<Record<string, string>> = { 'sha-256': 'sha256', 'sha-512': 'sha512' };
/** Those that it registers as deprecated: for these, another body with the same digest can be made. */
const WEAK = ['md5', 'sha', 'unixsum', 'unixcksum', 'adler', 'crc32c'];

export const contentDigest = (body: Uint8Array): string =>
  `sha-256=:${createHash('sha256').update(body).digest('base64')}:`;

/**
 * Compares the digests of a body with the body: all that are known must be right.
 * @param lines those of the field
 * @throws SignatureError also where there is none that binds, or one that is weak
 */
export function verifyContentDigest(lines: readonly string[], body: Uint8Array): void {
  let found = false;
  for (const [name, [value, parameters]] of readDictionary(lines)) {
    if (WEAK.includes(name)) throw new InvalidSignature('Content-Digest has an algorithm that is broken');
    const algorithm = Object.hasOwn(STRONG, name) && STRONG[name];
    if (!algorithm) continue;
    const digest = createHash(algorithm).update(body).digest();
    if (!(value instanceof ArrayBuffer) || parameters.size || value.byteLength !== digest.length)
      throw new InvalidSignature('Content-Digest is not of the length of its algorithm');
    if (!timingSafeEqual(digest, Buffer.from(value))) throw new InvalidSignature('the body is another one');
    found = true;
  }
  if (!found) throw new InvalidSignature('Content-Digest has no algorithm that binds');
}
