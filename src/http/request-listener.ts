import {
  BadRequestException,
  HttpException,
  ServiceUnavailableException,
  UnsupportedMediaTypeException,
} from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import { MAX_BODY_BYTES, hasBody, readBody } from './body.js';
import { setRequestBody } from './bodies.js';
import { SECURITY_HEADERS } from './security-headers.js';
import { writeProblem } from './problem.js';
import { requestContext, type RequestContext } from './request-context.js';

const contexts = new WeakMap<IncomingMessage, RequestContext>();

/** For the adapter, which learns the route and the address after the gate. */
export const requestContextOf = (request: IncomingMessage): RequestContext | undefined =>
  contexts.get(request);

/**
 * Stands before both adapters, so that what it does is the same on both: the request's id and its log line, the
 * security headers, the form of the request target, and the body.
 *
 * @param handler the adapter's own listener
 * @param closing whether the server has stopped to take new work
 * @param trusts whether a peer with this address is a proxy whose word on the caller is taken
 * @param refused learns of what is answered here, where the adapter and its filter never see the request
 */
export function requestListener(
  handler: RequestListener,
  log: Logger,
  closing: () => boolean,
  trusts: (address: string | undefined) => boolean,
  refused: (error: unknown) => void,
): RequestListener {
  return (request, response) => {
    const context: RequestContext = {
      requestId: randomUUID(),
      seen: () => ({ route: undefined, ip: request.socket.remoteAddress }),
    };
    contexts.set(request, context);
    response.setHeader('X-Request-Id', context.requestId);
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) response.setHeader(name, value);
    logAtEnd(request, response, context, log);
    dropProxysWord(request, trusts);

    const enter = () => requestContext.run(context, () => handler(request, response));
    const refuse = (error: unknown) => {
      requestContext.run(context, () => refused(error));
      refuseWith(request, response, error, context);
    };
    const flaw = closing() ? new ServiceUnavailableException() : flawOf(request);
    if (flaw) refuse(flaw);
    else if (!hasBody(request)) enter();
    else
      readBody(request)
        .then((body) => body && setRequestBody(request, body))
        .then(enter, refuse);
  };
}

/** Drops what only a proxy may say: the certificate that the caller has shown it (RFC 9440, section 2.4). */
function dropProxysWord(
  { headers, headersDistinct, socket }: IncomingMessage,
  trusts: (address: string | undefined) => boolean,
): void {
  for (const name of ['client-cert', 'client-cert-chain'])
    if (headers[name] !== undefined && !trusts(socket.remoteAddress)) {
      delete headers[name];
      delete headersDistinct[name];
    }
}

/** A path and a query of RFC 3986's characters; a query may hold the few more that browsers leave as they are. */
const TARGET = /^\/[\w\-.~!$&'()*+,;=:@%/]*(?:\?[\w\-.~!$&'()*+,;=:@%/?[\]{}|^`\\]*)?$/;
/**
 * An encoded slash, backslash or NUL is one segment to the router and something else to what comes after. An encoded
 * letter, digit or dot is a second spelling of a path (RFC 3986, section 6.2.2.2), which only one of the routers knows.
 */
const AMBIGUOUS = /%(?:00|2f|5c|2d|2e|5f|7e|3\d|[46][1-9a-f]|[57][\da])/i;
const MEDIA_TYPE = /^[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+[ \t]*(?:;.*)?$/;

/** What the two adapters would read differently, or not as it was meant, they never get to see. */
function flawOf(request: IncomingMessage): HttpException | undefined {
  if (request.httpVersionMajor !== 1) return new BadRequestException();
  const hosts = request.headersDistinct['host'] ?? [];
  if (hosts.length > 1) return bad('duplicate_header', 'The Host header is repeated.');
  if (!hosts[0]) return bad('host_required', 'The Host header is missing.');
  const target = request.url ?? '';
  const [path = ''] = target.split('?');
  if (!TARGET.test(target) || AMBIGUOUS.test(path) || /%00/.test(target) || !decodes(target))
    return bad('invalid_target', 'The request target must be a well-formed path and query.');
  const type = request.headers['content-type'];
  if (type !== undefined && !MEDIA_TYPE.test(type)) return new UnsupportedMediaTypeException();
  const expectation = request.headers.expect;
  if (expectation !== undefined && expectation.toLowerCase() !== '100-continue')
    return new HttpException('Expectation Failed', 417);
  return undefined;
}

const bad = (code: string, detail: string) => new BadRequestException({ code, detail });

function decodes(target: string): boolean {
  try {
    decodeURIComponent(target);
    return true;
  } catch {
    return false;
  }
}

/** Answers, and closes the connection where the rest of the body is not wanted. */
function refuseWith(
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
  // Closing at once, with bytes unread, would reset the connection and could take the answer along. So some more
  // is read and dropped, but neither much nor for long.
  let dropped = 0;
  const end = () => response.end();
  const deadline = setTimeout(end, 1_000).unref();
  request.on('data', (chunk: Buffer) => (dropped += chunk.length) > 4 * MAX_BODY_BYTES && end());
  request.once('end', end).once('close', () => clearTimeout(deadline));
}

/** One line per request. The route's pattern stands for the path and the query, where a secret may be. */
function logAtEnd(
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
        ...context.seen(),
        status: response.headersSent ? response.statusCode : undefined,
        ms: Math.round((performance.now() - started) * 10) / 10,
        ...(!response.writableFinished && { aborted: true }),
      },
      'request',
    );
  });
}
