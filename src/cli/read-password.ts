import { buffer } from 'node:stream/consumers';

/**
 * Reads a password from a stream, such as a file of one line. The final line break is not part of the password.
 * @throws Error with a sentence for the operator, never the password
 */
export async function readPassword(stream: NodeJS.ReadableStream): Promise<string> {
  const bytes = await buffer(stream);
  if (isUtf16(bytes)) throw new Error('The password must be UTF-8 text. This looks like UTF-16.');
  const text = decode(bytes).replace(/\r?\n$/, '');
  if (!text) throw new Error('The password is too weak. It is empty: send it on standard input.');
  if (/[\r\n\u0085\u2028\u2029]/.test(text)) throw new Error('The password must be one line.');
  if (/\p{Cc}/u.test(text)) throw new Error('The password must not contain control characters.');
  return text;
}

/** A byte order mark, or a zero byte, which every ASCII character of UTF-16 has. */
const isUtf16 = (bytes: Buffer) =>
  bytes.includes(0) || ['fffe', 'feff'].includes(bytes.subarray(0, 2).toString('hex'));

/** Removes the byte order mark of UTF-8. */
function decode(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new Error('The password must be UTF-8 text.');
  }
}
