import {
  BadRequestException,
  HttpException,
  ServiceUnavailableException,
  UnsupportedMediaTypeException,
} from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import { writeProblem } from './problem.js';
import { MAX_BODY_BYTES, hasBody, readBody } from './request-body.js';
import { requestContext, type RequestContext } from './request-context.js';
import { SECURITY_HEADERS } from './security-headers.js';

/**
 * Runs before either adapter: request id, log line, security headers, validation of the request target, body.
 *
 * Written here because Fastify and Express differ in all of these, and share only the code before routing. Tests on
 * both: test/http/http.e2e-spec.ts, test/http/framing.e2e-spec.ts.
 *
 * @param handler the adapter's own listener
 * @param isClosing whether the server has stopped accepting requests
 * @param isTrustedProxy whether headers set by a peer with this address are trusted
 * @param onRejected is called for requests rejected here, which no exception filter sees
 */
export function requestListener(
  handler: RequestListener,
  log: Logger,
  isClosing: () => boolean,
  isTrustedProxy: (address: string | undefined) => boolean,
  onRejected: (error: unknown) => void,
): RequestListener {
  return (request, response) => {
    const context: RequestContext = {
      requestId: randomUUID(),
      details: () => ({ route: undefined, ip: request.socket.remoteAddress }),
    };
    request.requestContext = context;
    response.setHeader('X-Request-Id', context.requestId);
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) response.setHeader(name, value);
    logWhenClosed(request, response, context, log);
    if (!isTrustedProxy(request.socket.remoteAddress)) dropForwardedCertificate(request);

    const handle = () => requestContext.run(context, () => handler(request, response));
    const reject = (error: unknown) => {
      requestContext.run(context, () => onRejected(error));
      sendRejection(request, response, error, context);
    };
    const error = isClosing() ? new ServiceUnavailableException() : errorIn(request);
    if (error) return reject(error);
    if (!hasBody(request)) return handle();
    readBody(request)
      .then((body) => {
        if (body) request.requestBody = body;
      })
      .then(handle, reject);
  };
}

/** Only a trusted proxy may forward a client certificate (RFC 9440 section 2.4). */
function dropForwardedCertificate({ headers, headersDistinct }: IncomingMessage): void {
  for (const name of ['client-cert', 'client-cert-chain'])
    if (headers[name] !== undefined) {
      delete headers[name];
      delete headersDistinct[name];
    }
}

/** A path and query in the characters of RFC 3986. The query may contain the others that browsers send unencoded. */
const TARGET = /^\/[\w\-.~!$&'()*+,;=:@%/]*(?:\?[\w\-.~!$&'()*+,;=:@%/?[\]{}|^`\\]*)?$/;
/**
 * Encodings that routers and handlers read differently: slash, backslash, NUL, and unreserved characters, which should
 * not be encoded at all (RFC 3986 section 6.2.2.2).
 */
const AMBIGUOUS_ENCODING = /%(?:00|2f|5c|2d|2e|5f|7e|3\d|[46][1-9a-f]|[57][\da])/i;
const MEDIA_TYPE = /^[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+[ \t]*(?:;.*)?$/;

/** Rejects requests that the two adapters would read differently. */
function errorIn(request: IncomingMessage): HttpException | undefined {
  if (request.httpVersionMajor !== 1) return new BadRequestException();
  const hosts = request.headersDistinct['host'] ?? [];
  if (hosts.length > 1) return badRequest('duplicate_header', 'The Host header is repeated.');
  if (!hosts[0]) return badRequest('host_required', 'The Host header is missing.');
  if (!isUnambiguousTarget(request.url ?? ''))
    return badRequest('invalid_target', 'The request target must be a well-formed path and query.');
  const type = request.headers['content-type'];
  if (type !== undefined && !MEDIA_TYPE.test(type)) return new UnsupportedMediaTypeException();
  const expectation = request.headers.expect;
  if (expectation !== undefined && expectation.toLowerCase() !== '100-continue')
    return new HttpException('Expectation Failed', 417);
  return undefined;
}

const badRequest = (code: string, detail: string) => new BadRequestException({ code, detail });

function isUnambiguousTarget(target: string): boolean {
  const [path = ''] = target.split('?');
  if (!TARGET.test(target) || AMBIGUOUS_ENCODING.test(path) || /%00/.test(target)) return false;
  try {
    decodeURIComponent(target);
    return true;
  } catch {
    return false;
  }
}

const DRAIN_TIMEOUT_MS = 1_000;

/** Sends the problem. If the client is still sending a body, closes the connection after it. */
function sendRejection(
  request: IncomingMessage,
  response: ServerResponse,
  error: unknown,
  { requestId }: RequestContext,
): void {
  if (response.headersSent || response.destroyed) return;
  if (request.complete || !hasBody(request)) {
    writeProblem(response, error, requestId);
    response.end();
    return;
  }
  response.setHeader('Connection', 'close');
  writeProblem(response, error, requestId);
  // Closing with unread bytes resets the connection, and the client may lose the response. So read and drop a little more.
  let dropped = 0;
  const end = () => response.end();
  const deadline = setTimeout(end, DRAIN_TIMEOUT_MS).unref();
  request.on('data', (chunk: Buffer) => (dropped += chunk.length) > 4 * MAX_BODY_BYTES && end());
  request.once('end', end).once('close', () => clearTimeout(deadline));
}

/** Writes one line per request, with the route's pattern: the path and the query may contain secrets. */
function logWhenClosed(
  request: IncomingMessage,
  response: ServerResponse,
  context: RequestContext,
  log: Logger,
): void {
  const started = performance.now();
  response.once('close', () => {
    log.info(
      {
        requestId: context.requestId,
        method: request.method,
        ...context.details(),
        status: response.headersSent ? response.statusCode : undefined,
        ms: Math.round((performance.now() - started) * 10) / 10,
        ...(!response.writableFinished && { aborted: true }),
      },
      'request',
    );
  });
}
