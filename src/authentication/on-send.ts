import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { rawRequest, rawResponse, type AdapterRequest, type AdapterResponse } from './request.js';

/** A response that is complete and not yet sent. */
export interface CompleteResponse {
  readonly status: number;
  /** A header's value, its lines joined by commas (RFC 9110 section 5.3); undefined if it is absent. */
  readonly header: (name: string) => string | undefined;
  readonly body: Buffer;
}

/**
 * Buffers a response until it is complete, adds headers to it, and sends it. Works on every adapter, because all of them
 * end in Node's own response: it replaces the three functions that send, and restores them in `end`.
 *
 * @param headers computes the headers to add, from the complete response
 */
export function beforeSend(
  response: ServerResponse,
  headers: (complete: CompleteResponse) => Readonly<Record<string, string>>,
): void {
  const replaced = ['writeHead', 'write', 'end'];
  const originals = Object.fromEntries(
    replaced.map((name) => [name, Reflect.get(response, name) as unknown]),
  );
  const chunks: Buffer[] = [];
  const keep = (chunk: unknown, encoding: unknown) => {
    if (typeof chunk === 'string')
      chunks.push(Buffer.from(chunk, typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8'));
    else if (chunk instanceof Uint8Array) chunks.push(Buffer.from(chunk));
  };
  const header = (name: string) => {
    const value = response.getHeader(name);
    return value === undefined ? undefined : [value].flat().join(', ');
  };
  Object.assign(response, {
    writeHead(status: number, ...rest: (string | OutgoingHttpHeaders)[]) {
      response.statusCode = status;
      const given = rest.at(-1);
      if (typeof given === 'object')
        for (const [name, value] of Object.entries(given ?? {}))
          if (value !== undefined) response.setHeader(name, value);
      return response;
    },
    write(chunk: unknown, encoding?: unknown) {
      keep(chunk, encoding);
      return true;
    },
    end(chunk?: unknown, encoding?: unknown) {
      keep(chunk, encoding);
      Object.assign(response, originals);
      const body = Buffer.concat(chunks);
      const added = headers({ status: response.statusCode, header, body });
      for (const [name, value] of Object.entries(added)) response.setHeader(name, value);
      return body.length ? response.end(body) : response.end();
    },
  });
}

/**
 * Node's own request and response, for a library with routes of its own. Nest injects the two by `@Req()` and `@Res()`.
 */
export function rawExchange(
  request: AdapterRequest,
  response: AdapterResponse & { readonly hijack?: () => void },
): { readonly request: IncomingMessage; readonly response: ServerResponse } {
  response.hijack?.();
  return { request: rawRequest(request), response: rawResponse(response) };
}
