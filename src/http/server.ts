import { HttpException } from '@nestjs/common';
import { STATUS_CODES, Server, type IncomingMessage, type RequestListener } from 'node:http';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Logger } from 'pino';
import { Connections } from './connections.js';
import type { RequestLog } from './logger.js';
import { HttpResponse } from './response.js';
import type { CrossOriginSharing } from './cross-origin.js';
import { MAX_HEADER_LINES, requestListener } from './request-listener.js';
import { SECURITY_HEADERS } from './security-headers.js';
import { RequestContext, requestContext } from './request-context.js';
import { PROBLEM_MEDIA_TYPE, problemOf, type Problem } from './problem.js';
import type { ServerConfig } from './server.config.js';

/** The time that requests in progress have to finish after the server closes. */
const SHUTDOWN_GRACE_MS = 10_000;
/** Node responds to a client that is too slow. This is added to the deadline that covers the cases where it does not. */
const BACKSTOP_MS = 2_000;

/**
 * Node's HTTP server with this application's limits, used by both adapters. Requests that no adapter sees are
 * rejected here. A TLS server in front emits `handshake` with each socket that it accepts, and `connection` with the TLS
 * socket after the handshake.
 *
 * Written here because Node's parser responds to malformed requests without our headers and without a log line.
 * `Server.close` also leaves idle connections open, and Node waits forever for a client that does not read. Tests:
 * test/http/framing.e2e-spec.ts, test/http/abuse.e2e-spec.ts, test/http/connections.e2e-spec.ts.
 */
export class HttpServer extends Server<typeof IncomingMessage, typeof HttpResponse> {
  /** The time for a TLS handshake. */
  handshakeTimeout = 10_000;
  /** The time from the headers of a request to the last byte of its response. */
  responseTimeout = 60_000;
  private readonly openConnections: Connections;

  /** @param onRejected is called for requests rejected here, in the context of the request */
  constructor(
    handler: RequestListener,
    private readonly log: Logger,
    requestLog: RequestLog,
    config: ServerConfig,
    crossOrigin: CrossOriginSharing,
    isTrustedProxy: (address: string) => boolean,
    private readonly onRejected: (error: unknown) => void,
  ) {
    super({
      ServerResponse: HttpResponse,
      maxHeaderSize: 16 * 1024,
      headersTimeout: 10_000,
      requestTimeout: 30_000,
      keepAliveTimeout: config.keepAliveMs,
      // Node checks timeouts every 30 seconds by default, which would double them.
      connectionsCheckingInterval: 1_000,
      // The request listener checks Host, and responds with our headers.
      requireHostHeader: false,
    });
    // A response that makes no progress: the client does not read it, or the handler does not end.
    this.timeout = 20_000;
    // Node drops the lines after this number silently. One more than allowed shows that there were too many.
    this.maxHeadersCount = MAX_HEADER_LINES + 1;
    const listener = requestListener(handler, crossOrigin, requestLog, () => !this.listening, onRejected);
    this.openConnections = new Connections(config, isTrustedProxy, log, this, (response, client) =>
      listener(response.req, response, client),
    );
    const respond = (_request: IncomingMessage, response: HttpResponse) =>
      this.openConnections.track(response);
    this.on('request', respond);
    this.on('checkExpectation', respond);
    // Without a listener Node closes the connection of a CONNECT request without a response. It removes its own error
    // listener from the socket.
    this.on('connect', (_request, socket: Socket) =>
      this.rejectUnparsable(
        new Error('CONNECT'),
        socket.on('error', () => socket.destroy()),
      ),
    );
    this.on('handshake', (socket: Socket) => this.openConnections.openHandshake(socket));
    this.prependListener('connection', (socket) =>
      socket instanceof TLSSocket
        ? this.openConnections.finishHandshake(socket)
        : this.openConnections.open(socket, this.idleTimeout),
    );
  }

  /** Stops listening, lets requests in progress finish, and closes every connection as soon as it is idle. */
  override close(done?: (error?: Error) => void): this {
    super.close(done);
    this.openConnections.drain();
    setTimeout(() => this.openConnections.closeAll(), SHUTDOWN_GRACE_MS).unref();
    return this;
  }

  /** Called by Node in {@link close}. It would also close a connection whose last response is not yet sent. */
  override closeIdleConnections(): void {}

  /** Responds to a request that Node's parser rejects: invalid framing, an oversized header, a timeout. */
  rejectUnparsable(error: NodeJS.ErrnoException, socket: Socket): void {
    const responses = this.openConnections.responsesOf(socket);
    if (error.code === 'ECONNRESET') return void socket.destroy();
    // Node 24 reports each further packet of a request that was rejected before. Closing now would reset the connection, and the client
    // would lose the response.
    if (socket.writableEnded) return;
    if (!socket.writable) return void socket.destroy();
    // The request listener has rejected this request, and waits for the rest of it.
    const rejection = responses.find((response) => response.headersSent && !response.req.complete);
    if (rejection) return void rejection.end();
    // Responses to earlier requests of this connection go first, or the client matches this one to an earlier request.
    const earlier = responses.find((response) => response.req.complete);
    if (earlier) {
      earlier.once('close', () => this.rejectUnparsable(error, socket));
      return;
    }
    this.respondTo(
      socket,
      new HttpException('', STATUS_BY_PARSER_ERROR[error.code ?? ''] ?? 400),
      error.code,
    );
  }

  /** Responds without a parsed request, and closes the connection. */
  private respondTo(socket: Socket, rejection: HttpException, parserError?: string): void {
    const ip = this.openConnections.addressOf(socket) ?? '';
    const context = new RequestContext({ ip, secure: false, isForwarded: false });
    const { requestId } = context;
    const problem = problemOf(rejection, requestId);
    requestContext.run(context, () => this.onRejected(rejection));
    this.log.info({ requestId, status: problem.status, parser: parserError }, 'unreadable request');
    socket.end(serialize(problem, requestId));
    setTimeout(() => socket.destroy(), 1_000).unref();
  }

  /** The time until a request has arrived. It covers bytes that Node's parser skips, and that end Node's own timeout. */
  get idleTimeout(): number {
    return this.keepAliveTimeout + this.headersTimeout + BACKSTOP_MS;
  }
}

const STATUS_BY_PARSER_ERROR: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
};

function serialize(problem: Problem, requestId: string): string {
  const body = JSON.stringify(problem);
  const headers = [
    ...SECURITY_HEADERS.map(([name, , value]) => [name, value]),
    ['X-Request-Id', requestId],
    ['Content-Type', PROBLEM_MEDIA_TYPE],
    ['Content-Length', Buffer.byteLength(body)],
    ['Connection', 'close'],
  ];
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}\r\n${lines.join('')}\r\n${body}`;
}
