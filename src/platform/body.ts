import { BadRequestException, PayloadTooLargeException, UnsupportedMediaTypeException } from '@nestjs/common';
import type { IncomingMessage } from 'node:http';
import type { Body } from './bodies.js';
import { parseJson } from './json.js';

export const MAX_BODY = 256 * 1024;

/** True where the request's framing says that a body follows (RFC 9112, section 6.3). */
export const hasBody = ({ headers }: IncomingMessage): boolean =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;

/**
 * Reads a request's body, which must be JSON.
 *
 * @returns undefined where the body turns out to be empty
 * @throws UnsupportedMediaTypeException, PayloadTooLargeException, BadRequestException
 */
export async function readBody(request: IncomingMessage): Promise<Body | undefined> {
  if (Number(request.headers['content-length']) > MAX_BODY) throw new PayloadTooLargeException();
  assertReadable(request);
  const chunks: Buffer[] = [];
  let size = 0;
  // Listeners rather than `for await`, which destroys the socket on the way out, and with it the answer.
  await new Promise<void>((resolve, reject) => {
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > MAX_BODY) reject(new PayloadTooLargeException());
      else chunks.push(chunk);
    });
    request.on('end', resolve);
    request.on('close', () => reject(new BadRequestException()));
    request.on('error', () => reject(new BadRequestException()));
  });
  const raw = Buffer.concat(chunks);
  return raw.length ? { raw, value: parseJson(raw) } : undefined;
}

/** Only JSON in UTF-8 as it is: no other type, charset or compression, none of which a client of this API needs. */
function assertReadable({ headersDistinct }: IncomingMessage): void {
  const types = headersDistinct['content-type'] ?? [];
  const encodings = headersDistinct['content-encoding'] ?? [];
  const json = /^application\/json[ \t]*(?:;[ \t]*charset=(?:utf-8|"utf-8")[ \t]*)?$/i;
  const readable = types.length === 1 && json.test(types[0]!);
  if (!readable || encodings.some((encoding) => encoding.toLowerCase() !== 'identity'))
    throw new UnsupportedMediaTypeException();
}
