import { BadRequestException, PayloadTooLargeException, UnsupportedMediaTypeException } from '@nestjs/common';
import type { IncomingMessage } from 'node:http';
import type { RequestBody } from './bodies.js';
import { parse } from 'node:querystring';
import type { MediaType } from '../authentication/plan.js';
import { parseJson } from './json.js';

export const MAX_BODY_BYTES = 256 * 1024;

/** True where the request's framing says that a body follows (RFC 9112, section 6.3). */
export const hasBody = ({ headers }: IncomingMessage): boolean =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;

/**
 * Reads a request's body, which must be JSON or a form.
 *
 * @returns undefined where the body turns out to be empty
 * @throws UnsupportedMediaTypeException, PayloadTooLargeException, BadRequestException
 */
export async function readBody(request: IncomingMessage): Promise<RequestBody | undefined> {
  if (Number(request.headers['content-length']) > MAX_BODY_BYTES) throw new PayloadTooLargeException();
  const media = mediaOf(request);
  const chunks: Buffer[] = [];
  let size = 0;
  // Listeners rather than `for await`, which destroys the socket on the way out, and with it the answer.
  await new Promise<void>((resolve, reject) => {
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > MAX_BODY_BYTES) reject(new PayloadTooLargeException());
      else chunks.push(chunk);
    });
    request.on('end', resolve);
    request.on('close', () => request.complete || reject(new BadRequestException()));
    request.on('error', () => reject(new BadRequestException()));
  });
  const raw = Buffer.concat(chunks);
  if (!raw.length) return undefined;
  return { raw, media, value: media === 'json' ? parseJson(raw) : parse(raw.toString('utf8')) };
}

const MEDIA: Readonly<Record<MediaType, RegExp>> = {
  json: /^application\/json[ \t]*(?:;[ \t]*charset=(?:utf-8|"utf-8")[ \t]*)?$/i,
  form: /^application\/x-www-form-urlencoded[ \t]*(?:;[ \t]*charset=(?:utf-8|"utf-8")[ \t]*)?$/i,
};

/** Only JSON and forms in UTF-8 as they are: no other type, charset or compression, none of which a client of this API needs. */
function mediaOf({ headersDistinct }: IncomingMessage): MediaType {
  const types = headersDistinct['content-type'] ?? [];
  const encodings = headersDistinct['content-encoding'] ?? [];
  const media = (['json', 'form'] as const).find((each) => MEDIA[each].test(types[0] ?? ''));
  if (!media || types.length > 1 || encodings.some((encoding) => encoding.toLowerCase() !== 'identity'))
    throw new UnsupportedMediaTypeException();
  return media;
}
