import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import type { AuthRequest } from '../authentication/request.js';
import type { Settings } from '../config/settings.js';

const incoming = new WeakMap<IncomingMessage, AuthRequest>();

/** The request as methods see it, of one that was handed to the engine. */
export const incomingOf = (request: IncomingMessage): AuthRequest => incoming.get(request)!;

/**
 * A request as the engine is to see it: below its own root, its body still to be read, and addressed to where callers know
 * this server, whatever its Host field or a proxy says: the engine writes whole addresses into its answers.
 *
 * @param path below the engine's root, with the query
 * @param body whatever of it there is
 */
export function forEngine(
  raw: IncomingMessage,
  request: AuthRequest,
  { publicUrl }: Settings,
  path: string,
  body: Buffer,
): IncomingMessage {
  // An origin, as Settings has checked.
  const [scheme = '', host = ''] = publicUrl.split('://');
  const headers = {
    ...raw.headers,
    ...(body.length && { 'content-length': String(body.length) }),
    host,
    'x-forwarded-host': host,
    'x-forwarded-proto': scheme,
    'x-forwarded-for': request.ip,
  };
  const seen = Object.create(raw, {
    url: { value: path, writable: true },
    originalUrl: { value: `/oidc${path}` },
    headers: { value: headers },
    readable: { value: true },
    readableEncoding: { value: null },
    iterator: { value: () => Readable.from(body.length ? [body] : []) },
  }) as IncomingMessage;
  incoming.set(seen, request);
  return seen;
}
