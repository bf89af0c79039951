import {
  BadRequestException,
  HttpException,
  NotImplementedException,
  ServiceUnavailableException,
  UnsupportedMediaTypeException,
} from '@nestjs/common';
import type { IncomingMessage, RequestListener } from 'node:http';
import { headerLines } from '../authentication/request.js';
import type { CrossOriginSharing } from './cross-origin.js';
import type { Client } from './forwarded.js';
import type { RequestLog } from './logger.js';
import { hasTooManyParameters, tooManyParameters } from './parameters.js';
import { writeProblem } from './problem.js';
import { MAX_BODY_BYTES, costOf, hasBody, readBody } from './request-body.js';
import { RequestContext, requestContext } from './request-context.js';
import type { HttpResponse } from './response.js';

/**
 * Runs before either adapter: request id, log line, validation of the request target, body.
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
  log: RequestLog,
  isClosing: () => boolean,
  onRejected: (error: unknown) => void,
): (request: IncomingMessage, response: HttpResponse, client: Client) => void {
  return (request, response, client) => {
    const context = new RequestContext(client, request.headers['user-agent']);
    request.requestContext = context;
    const started = performance.now();
    response.on('close', () => log(context, response, performance.now() - started));
    // Only a trusted proxy may forward a client certificate (RFC 9440 section 2.4).
    if (!client.isForwarded) {
      delete request.headers['client-cert'];
      delete request.headers['client-cert-chain'];
    }
    if (isHealthCheckWithoutHost(request)) addHost(request);

    const isPreflight = crossOrigin.share(request, response);
    const handle = () => requestContext.run(context, handler, request, response);
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
  const { host } = request.headers;
  if (headerLines(request, 'host').length > 1)
    return badRequest('duplicate_header', 'The Host header is repeated.');
  if (!host) return badRequest('host_required', 'The Host header is missing.');
  if (!HOST.test(host)) return badRequest('invalid_host', 'The Host header must be one host.');
  const codings = request.headers['transfer-encoding'];
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
  if (!TARGET.test(target)) return false;
  if (!target.includes('%')) return true;
  const [path = ''] = target.split('?', 1);
  if (AMBIGUOUS_ENCODING.test(path) || target.includes('%00')) return false;
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
function addHost({ headers, rawHeaders, socket }: IncomingMessage): void {
  const { localAddress = '', localPort } = socket;
  headers.host = `${localAddress.includes(':') ? `[${localAddress}]` : localAddress}:${localPort}`;
  rawHeaders.push('Host', headers.host);
}

const DRAIN_TIMEOUT_MS = 1_000;

/** Sends the problem. If the client is still sending a body, closes the connection after it. */
function sendRejection(
  request: IncomingMessage,
  response: HttpResponse,
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
