import {
  BadRequestException,
  HttpException,
  NotImplementedException,
  ServiceUnavailableException,
  UnsupportedMediaTypeException,
} from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import type { CrossOriginSharing } from './cross-origin.js';
import type { Client } from './forwarded.js';
import { hasTooManyParameters, tooManyParameters } from './parameters.js';
import { writeProblem } from './problem.js';
import { MAX_BODY_BYTES, costOf, hasBody, readBody } from './request-body.js';
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
 * @param onRejected is called for requests rejected here, which no exception filter sees
 */
export function requestListener(
  handler: RequestListener,
  crossOrigin: CrossOriginSharing,
  log: Logger,
  isClosing: () => boolean,
  onRejected: (error: unknown) => void,
): (request: IncomingMessage, response: ServerResponse, client: Client) => void {
  return (request, response, client) => {
    const context: RequestContext = {
      requestId: randomUUID(),
      client,
      details: () => ({ route: undefined, ip: client.ip }),
    };
    request.requestContext = context;
    response.setHeader('X-Request-Id', context.requestId);
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) response.setHeader(name, value);
    logWhenClosed(request, response, context, log);
    if (!client.isForwarded) dropForwardedCertificate(request);
    if (isHealthCheckWithoutHost(request)) addHost(request);

    const isPreflight = crossOrigin.share(request, response);
    const handle = () => requestContext.run(context, () => handler(request, response));
    const reject = (error: unknown) => {
      requestContext.run(context, () => onRejected(error));
      sendRejection(request, response, error, context);
    };
    const error = isClosing() ? new ServiceUnavailableException() : errorIn(request);
    if (error) {
      // Another server may read the rest of the connection differently.
      response.shouldKeepAlive = false;
      return reject(error);
    }
    if (isPreflight) return void response.writeHead(204).end();
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
/** One name or address with an optional port, without the user information that some clients would read in front. */
const HOST = /^(?:\[[\da-f:.]+\]|[\w.-]+)(?::\d{1,5})?$/i;
/** More lines than any client sends. They fit into 16 KiB. */
export const MAX_HEADER_LINES = 200;
const MEDIA_TYPE = /^[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+[ \t]*(?:;.*)?$/;

/** Rejects requests that the two adapters, or a proxy in front, would read differently. */
function errorIn(request: IncomingMessage): HttpException | undefined {
  if (request.httpVersionMajor !== 1) return new BadRequestException();
  if (request.rawHeaders.length > 2 * MAX_HEADER_LINES) return new HttpException('Too many headers', 431);
  const hosts = request.headersDistinct['host'] ?? [];
  if (hosts.length > 1) return badRequest('duplicate_header', 'The Host header is repeated.');
  if (!hosts[0]) return badRequest('host_required', 'The Host header is missing.');
  if (!HOST.test(hosts[0])) return badRequest('invalid_host', 'The Host header must be one host.');
  const codings = request.headersDistinct['transfer-encoding']?.join();
  if (codings && request.httpVersion === '1.0') return new BadRequestException();
  // Node's parser rejects a body whose last coding is another one.
  if (codings && /,[ \t]*chunked$/i.test(codings)) return new NotImplementedException();
  const target = request.url ?? '';
  if (!isUnambiguousTarget(target))
    return badRequest('invalid_target', 'The request target must be a well-formed path and query.');
  if (hasTooManyParameters(target)) return tooManyParameters();
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

/** The checks of load balancers in HTTP/1.0 name no host. */
const isHealthCheckWithoutHost = ({ httpVersion, url, headers }: IncomingMessage) =>
  httpVersion === '1.0' && /^\/health\/(?:live|ready)$/.test(url ?? '') && headers.host === undefined;

/** Adds the host that the client has connected to. */
function addHost({ headers, headersDistinct, socket }: IncomingMessage): void {
  const { localAddress = '', localPort } = socket;
  headers.host = `${localAddress.includes(':') ? `[${localAddress}]` : localAddress}:${localPort}`;
  headersDistinct['host'] = [headers.host];
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
  response.shouldKeepAlive = false;
  writeProblem(response, error, requestId);
  // Closing with unread bytes resets the connection, and the client may lose the response. So read and drop a little more.
  let dropped = 0;
  const end = () => response.end();
  const deadline = setTimeout(end, DRAIN_TIMEOUT_MS).unref();
  request.on('data', (chunk: Buffer) => (dropped += costOf(chunk)) > 4 * MAX_BODY_BYTES && end());
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
