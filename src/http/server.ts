import { HttpException } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import {
  STATUS_CODES,
  Server,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from 'node:http';
import type { Socket } from 'node:net';
import type { Logger } from 'pino';
import { requestListener } from './request-listener.js';
import { SECURITY_HEADERS } from './security-headers.js';
import { requestContext } from './request-context.js';
import { PROBLEM_MEDIA_TYPE, problemOf, type Problem } from './problem.js';

/** The time that requests in progress have to finish after the server closes. */
const SHUTDOWN_GRACE_MS = 10_000;

/**
 * Node's HTTP server with this application's limits, used by both adapters. Requests that no adapter sees are
 * rejected here.
 *
 * Written here because Node's parser responds to malformed requests without our headers and without a log line.
 * `Server.close` also leaves idle connections open. Tests: test/http/framing.e2e-spec.ts,
 * test/http/abuse.e2e-spec.ts.
 */
export class HttpServer extends Server {
  /** Every connection, with its responses in progress. */
  private readonly responsesBySocket = new Map<Socket, Set<ServerResponse>>();

  /** @param onRejected is called for requests rejected here, in the context of the request */
  constructor(
    handler: RequestListener,
    private readonly log: Logger,
    isTrustedProxy: (address: string | undefined) => boolean,
    private readonly onRejected: (error: unknown) => void,
  ) {
    super({
      maxHeaderSize: 16 * 1024,
      headersTimeout: 10_000,
      requestTimeout: 30_000,
      keepAliveTimeout: 5_000,
      // Node checks timeouts every 30 seconds by default, which would double them.
      connectionsCheckingInterval: 1_000,
      // The request listener checks Host, and responds with our headers.
      requireHostHeader: false,
    });
    const listener = requestListener(handler, log, () => !this.listening, isTrustedProxy, onRejected);
    const respond = (request: IncomingMessage, response: ServerResponse) => {
      this.trackResponse(request.socket, response);
      listener(request, response);
    };
    this.on('request', respond);
    this.on('checkExpectation', respond);
    this.on('connection', (socket) => {
      this.responsesBySocket.set(socket, new Set());
      socket.once('close', () => this.responsesBySocket.delete(socket));
    });
  }

  /** Stops listening, lets requests in progress finish, and closes every connection as soon as it is idle. */
  override close(done?: (error?: Error) => void): this {
    super.close(done);
    for (const [socket, responses] of this.responsesBySocket) if (!responses.size) socket.destroy();
    setTimeout(() => this.closeAllConnections(), SHUTDOWN_GRACE_MS).unref();
    return this;
  }

  /** Responds to a request that Node's parser rejects: invalid framing, an oversized header, a timeout. */
  rejectUnparsable(error: NodeJS.ErrnoException, socket: Socket): void {
    const responses = [...(this.responsesBySocket.get(socket) ?? [])];
    const isPartlySent = responses.some((response) => response.headersSent && !response.req.complete);
    if (error.code === 'ECONNRESET' || !socket.writable || isPartlySent) {
      socket.destroy();
      return;
    }
    // Responses to earlier requests of this connection go first, or the client matches this one to an earlier request.
    const earlier = responses.find((response) => response.req.complete);
    if (earlier) {
      earlier.once('close', () => this.rejectUnparsable(error, socket));
      return;
    }
    const requestId = randomUUID();
    const rejection = new HttpException('', STATUS_BY_PARSER_ERROR[error.code ?? ''] ?? 400);
    const problem = problemOf(rejection, requestId);
    const details = () => ({ route: undefined, ip: socket.remoteAddress });
    requestContext.run({ requestId, details }, () => this.onRejected(rejection));
    this.log.info({ requestId, status: problem.status, parser: error.code }, 'unreadable request');
    socket.end(serialize(problem, requestId));
    setTimeout(() => socket.destroy(), 1_000).unref();
  }

  private trackResponse(socket: Socket, response: ServerResponse): void {
    const responses = this.responsesBySocket.get(socket);
    responses?.add(response);
    response.once('close', () => {
      responses?.delete(response);
      if (!this.listening && !responses?.size) socket.destroySoon();
    });
  }
}

const STATUS_BY_PARSER_ERROR: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
};

function serialize(problem: Problem, requestId: string): string {
  const body = JSON.stringify(problem);
  const headers = {
    ...SECURITY_HEADERS,
    'X-Request-Id': requestId,
    'Content-Type': PROBLEM_MEDIA_TYPE,
    'Content-Length': String(Buffer.byteLength(body)),
    Connection: 'close',
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}\r\n${lines.join('')}\r\n${body}`;
}
