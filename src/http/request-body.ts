import { BadRequestException, PayloadTooLargeException, UnsupportedMediaTypeException } from '@nestjs/common';
import type { IncomingMessage } from 'node:http';
import type { MediaType } from '../authentication/plan.js';
import { headerLines } from '../authentication/request.js';
import { parseJson } from './json.js';
import { hasTooManyParameters, parseParameters, tooManyParameters } from './parameters.js';

export const MAX_BODY_BYTES = 256 * 1024;
/** A chunk of one byte takes as long to read as this many bytes. */
const MIN_CHUNK_COST = 64;

/** The bytes of a chunk, for {@link MAX_BODY_BYTES}: otherwise tiny chunks would take half a second to read. */
export const costOf = (chunk: Buffer): number => Math.max(chunk.length, MIN_CHUNK_COST);

export interface RequestBody {
  readonly raw: Buffer;
  readonly media: MediaType;
  readonly value: unknown;
}

declare module 'node:http' {
  interface IncomingMessage {
    requestBody?: RequestBody;
  }
}

/** Whether the request's framing announces a body (RFC 9112 section 6.3). */
export const hasBody = ({ headers }: IncomingMessage): boolean =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;

/**
 * Reads a JSON or form body.
 *
 * Written here because the two adapters' body parsers accept different charsets, encodings and JSON, and neither keeps
 * the bytes that signatures cover (test/http/json.e2e-spec.ts, test/http/media.e2e-spec.ts).
 *
 * @returns undefined if the body is empty
 * @throws UnsupportedMediaTypeException, PayloadTooLargeException, BadRequestException
 */
export async function readBody(request: IncomingMessage): Promise<RequestBody | undefined> {
  if (Number(request.headers['content-length']) > MAX_BODY_BYTES) throw new PayloadTooLargeException();
  const media = mediaTypeOf(request);
  const raw = await readBytes(request);
  if (!raw.length) return undefined;
  if (media === 'json') return { raw, media, value: parseJson(raw) };
  const form = raw.toString('utf8');
  if (hasTooManyParameters(form)) throw tooManyParameters();
  return { raw, media, value: parseParameters(form) };
}

/** Uses listeners, because `for await` destroys the socket when it stops early, and the response with it. */
function readBytes(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  return new Promise((resolve, reject) => {
    request.on('data', (chunk: Buffer) => {
      size += costOf(chunk);
      if (size > MAX_BODY_BYTES) reject(new PayloadTooLargeException());
      else chunks.push(chunk);
    });
    request.on('end', () => resolve(Buffer.concat(chunks)));
    request.on('close', () => request.complete || reject(new BadRequestException()));
    request.on('error', () => reject(new BadRequestException()));
  });
}

const MEDIA_TYPES: Readonly<Record<MediaType, RegExp>> = {
  json: /^application\/json[ \t]*(?:;[ \t]*charset=(?:utf-8|"utf-8")[ \t]*)?$/i,
  form: /^application\/x-www-form-urlencoded[ \t]*(?:;[ \t]*charset=(?:utf-8|"utf-8")[ \t]*)?$/i,
};

/** Accepts JSON and forms in UTF-8 without a content encoding. */
function mediaTypeOf(request: IncomingMessage): MediaType {
  const types = headerLines(request, 'content-type');
  const encodings = headerLines(request, 'content-encoding');
  const media = (['json', 'form'] as const).find((each) => MEDIA_TYPES[each].test(types[0] ?? ''));
  if (!media || types.length > 1 || encodings.some((encoding) => encoding.toLowerCase() !== 'identity'))
    throw new UnsupportedMediaTypeException();
  return media;
}
