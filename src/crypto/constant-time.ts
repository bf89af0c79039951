import { timingSafeEqual } from 'node:crypto';

/** Compares texts or bytes in a time that depends only on their lengths. Lengths are not secret. */
export function constantTimeEqual(left: string | Uint8Array, right: string | Uint8Array): boolean {
  const [a, b] = [Buffer.from(left as string), Buffer.from(right as string)];
  return a.length === b.length && timingSafeEqual(a, b);
}
