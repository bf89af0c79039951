import { BadRequestException } from '@nestjs/common';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { beforeSend, type CompleteResponse } from './on-send.js';

/**
 * What a method may look at: the request as it came in, the same on every HTTP adapter. Its names are Node's
 * where Node has them, so that strategies from npm can read it as well.
 */
export interface AuthRequest {
  readonly method: string;
  /** The request target as it stands in the first line: path and query, undecoded. */
  readonly target: string;
  /** The Host field. */
  readonly authority: string;
  readonly headers: IncomingHttpHeaders;
  /**
   * The value of a field that may stand only once.
   * @throws BadRequestException `duplicate_header` where it stands twice; Node would join or drop silently
   */
  header(name: string): string | undefined;
  /** The values of all lines of a field, in the order in which they came; none where it is absent. */
  lines(name: string): readonly string[];
  /**
   * The body's bytes, where there is one.
   * @throws Error where the application reads bodies and does not keep their bytes: what is signed would go unchecked
   */
  readonly rawBody: Buffer | undefined;
  /** The client's address: the peer's, or what a trusted proxy says of it. */
  readonly ip: string;
  readonly socket: Socket;
  /** Whether it came over TLS: to this server, or to a trusted proxy that says so. */
  readonly secure: boolean;
  /** Adds a field to the answer, whatever that will be: a renewed cookie goes out with a 403 as well. */
  setHeader(name: string, value: string): void;
  /**
   * Adds fields that depend on the answer, which is complete by then and not sent yet: its signature, its digest.
   * @param fields runs once, synchronously
   */
  onSend(fields: (answer: CompleteResponse) => Readonly<Record<string, string>>): void;
}

/** A response as Nest hands it out: Express' is Node's own, Fastify's holds it as `raw`. */
export type AdapterResponse = ServerResponse | { readonly raw: ServerResponse };

/** A request as Nest hands it to guards: Express' is Node's own, Fastify's holds it as `raw`. */
export type AdapterRequest = (IncomingMessage | { readonly raw: IncomingMessage }) & {
  readonly ip: string;
  readonly protocol: string;
  readonly body?: unknown;
  readonly rawBody?: Buffer;
};

const built = new WeakMap<IncomingMessage, AuthRequest>();

export const rawRequest = (request: AdapterRequest): IncomingMessage =>
  'raw' in request ? request.raw : request;

export const rawResponse = (response: AdapterResponse): ServerResponse =>
  'raw' in response ? response.raw : response;

/**
 * The {@link AuthRequest} of a request, built once.
 * @throws BadRequestException where the request is ambiguous: a second Authorization, Host or Cookie field, no
 *   Host at all, or a target that is not a path (RFC 9112, sections 3.2 and 3.2.1)
 */
export function authRequest(request: AdapterRequest, response: AdapterResponse): AuthRequest {
  const raw = rawRequest(request);
  let found = built.get(raw);
  if (!found) built.set(raw, (found = build(raw, rawResponse(response), request)));
  return found;
}

function build(
  raw: IncomingMessage,
  response: ServerResponse,
  { ip, protocol, body, rawBody }: AdapterRequest,
): AuthRequest {
  const header = (name: string): string | undefined => {
    const values = raw.headersDistinct[name.toLowerCase()];
    if (values && values.length > 1) throw ambiguous('duplicate_header', `The ${name} header came twice.`);
    return values?.[0];
  };
  header('Authorization');
  header('Cookie');
  const authority = header('Host');
  if (!authority) throw ambiguous('host_required', 'The Host header is missing.');
  const target = raw.url ?? '';
  if (!target.startsWith('/')) throw ambiguous('invalid_target', 'The request target must be a path.');
  return {
    method: raw.method ?? 'GET',
    target,
    authority,
    headers: raw.headers,
    header,
    lines: (name) => raw.headersDistinct[name.toLowerCase()] ?? [],
    get rawBody() {
      const framed =
        raw.headers['transfer-encoding'] !== undefined || Number(raw.headers['content-length']) > 0;
      if (framed && !rawBody && body !== undefined && body !== null)
        throw new Error('A method needs the raw body. Create the application with `rawBody: true`.');
      return rawBody;
    },
    ip,
    socket: raw.socket,
    secure: protocol === 'https',
    setHeader: (name, value) => void response.appendHeader(name, value),
    onSend: (fields) => beforeSend(response, fields),
  };
}

/**
 * Node's own request and response, for a handler that answers by itself: an engine with routes of its own. Nest hands out
 * the two by `@Req()` and `@Res()`.
 */
export function rawExchange(
  request: AdapterRequest,
  response: AdapterResponse & { readonly hijack?: () => void },
): { readonly request: IncomingMessage; readonly response: ServerResponse } {
  response.hijack?.();
  return { request: rawRequest(request), response: rawResponse(response) };
}

const ambiguous = (code: string, detail: string) => new BadRequestException({ code, detail });
