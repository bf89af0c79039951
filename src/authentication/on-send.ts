import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';

/** An answer as it is about to go out. */
export interface CompleteResponse {
  readonly status: number;
  /** A field's value, its lines joined by commas (RFC 9110, section 5.3); undefined where it is absent. */
  readonly header: (name: string) => string | undefined;
  readonly body: Buffer;
}

/**
 * Holds an answer back until it is complete, adds fields to it, and sends it. Both adapters end in Node's own response,
 * whose three functions that send something are put in place of here, and back.
 */
export function beforeSend(
  response: ServerResponse,
  fields: (answer: CompleteResponse) => Readonly<Record<string, string>>,
): void {
  const sending = ['writeHead', 'write', 'end'];
  const before = Object.fromEntries(sending.map((name) => [name, Reflect.get(response, name) as unknown]));
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
      const headers = rest.at(-1);
      if (typeof headers === 'object')
        for (const [name, value] of Object.entries(headers ?? {}))
          if (value !== undefined) response.setHeader(name, value);
      return response;
    },
    write(chunk: unknown, encoding?: unknown) {
      keep(chunk, encoding);
      return true;
    },
    end(chunk?: unknown, encoding?: unknown) {
      keep(chunk, encoding);
      Object.assign(response, before);
      const body = Buffer.concat(chunks);
      for (const [name, value] of Object.entries(fields({ status: response.statusCode, header, body })))
        response.setHeader(name, value);
      return body.length ? response.end(body) : response.end();
    },
  });
}
