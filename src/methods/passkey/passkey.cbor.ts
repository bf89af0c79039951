import { InvalidPasskeyResponse } from './passkey.js';

/** The deepest nesting that authenticators use (CTAP 2.1 section 8). */
const MAX_DEPTH = 4;
const [BYTES, TEXT, ARRAY, MAP, TAG, INDEFINITE] = [2, 3, 4, 5, 6, 31];

/**
 * Checks that the bytes are one CBOR item (RFC 8949) as authenticators write it: definite lengths, no tags, little nesting. The
 * library's decoder follows any nesting, accepts a length beyond the end, and ignores bytes after the item.
 * @throws InvalidPasskeyResponse
 */
export function assertOneCborItem(bytes: Buffer): void {
  if (endOfItem(bytes, 0, 0) !== bytes.length) throw malformed();
}

function endOfItem(bytes: Buffer, start: number, depth: number): number {
  if (start >= bytes.length || depth > MAX_DEPTH) throw malformed();
  const [type, info] = [bytes[start]! >> 5, bytes[start]! & 31];
  const width = info < 24 ? 0 : 2 ** (info - 24);
  const end = start + 1 + width;
  if (info === INDEFINITE || width > 8 || type === TAG || end > bytes.length) throw malformed();
  if (type < BYTES || type > TAG) return end;
  // Lengths of eight bytes are beyond every limit of a request.
  if (width > 4) throw malformed();
  const length = width ? bytes.readUIntBE(start + 1, width) : info;
  if (type === BYTES || type === TEXT) return end + length;
  let next = end;
  for (let i = 0; i < length * (type === MAP ? 2 : 1); i++) next = endOfItem(bytes, next, depth + 1);
  return type === ARRAY || type === MAP ? next : end;
}

const malformed = () => new InvalidPasskeyResponse('the attestation object is not well-formed CBOR');
