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
import { PROBLEM_TYPE, problemOf } from './problem.js';

/** How long requests under way may take once the server closes. */
const GRACE_MS = 10_000;

/**
 * Node's HTTP server with this application's limits, under either adapter. What it refuses by itself it emits as
 * `refused`, in the request's context.
 */
export class ApiServer extends Server {
  /** Every connection, and the answers under way on it. */
  private readonly sockets = new Map<Socket, Set<ServerResponse>>();

  constructor(
    handler: RequestListener,
    private readonly log: Logger,
    trusts: (address: string | undefined) => boolean,
  ) {
    super({
      maxHeaderSize: 16 * 1024,
      headersTimeout: 10_000,
      requestTimeout: 30_000,
      keepAliveTimeout: 5_000,
      // How often Node looks for the slow ones: its own 30 seconds would let them have twice their time.
      connectionsCheckingInterval: 1_000,
      // Node would answer for itself, without our headers. The gate asks for the Host.
      requireHostHeader: false,
    });
    const listener = requestListener(
      handler,
      log,
      () => !this.listening,
      trusts,
      (error) => this.emit('refused', error),
    );
    const answer = (request: IncomingMessage, response: ServerResponse) => {
      this.follow(request.socket, response);
      listener(request, response);
    };
    this.on('request', answer);
    this.on('checkExpectation', answer);
    this.on('connection', (socket) => {
      this.sockets.set(socket, new Set());
      socket.once('close', () => this.sockets.delete(socket));
    });
  }

  /** Stops to listen, lets requests under way finish, and closes every connection as soon as it is idle. */
  override close(done?: (error?: Error) => void): this {
    super.close(done);
    for (const [socket, answers] of this.sockets) if (!answers.size) socket.destroy();
    setTimeout(() => this.closeAllConnections(), GRACE_MS).unref();
    return this;
  }

  /** Answers what Node's parser refuses: bad framing, a header too large, a request that never ends. */
  refuse(error: NodeJS.ErrnoException, socket: Socket): void {
    const answers = [...(this.sockets.get(socket) ?? [])];
    const begun = answers.some((answer) => answer.headersSent && !answer.req.complete);
    if (error.code === 'ECONNRESET' || !socket.writable || begun) {
      socket.destroy();
      return;
    }
    // Earlier requests on this connection get their own answers first, or this one would be taken for theirs.
    const owed = answers.find((answer) => answer.req.complete);
    if (owed) {
      owed.once('close', () => this.refuse(error, socket));
      return;
    }
    const id = randomUUID();
    const refusal = new HttpException('', STATUSES[error.code ?? ''] ?? 400);
    const problem = problemOf(refusal, id);
    const seen = () => ({ route: undefined, ip: socket.remoteAddress });
    requestContext.run({ requestId: id, seen }, () => this.emit('refused', refusal));
    this.log.info({ requestId: id, status: problem.status, parser: error.code }, 'unreadable request');
    const body = JSON.stringify(problem);
    const headers = {
      ...SECURITY_HEADERS,
      'X-Request-Id': id,
      'Content-Type': PROBLEM_TYPE,
      'Content-Length': String(Buffer.byteLength(body)),
      Connection: 'close',
    };
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.end(`HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}\r\n${lines.join('')}\r\n${body}`);
    setTimeout(() => socket.destroy(), 1_000).unref();
  }

  private follow(socket: Socket, response: ServerResponse): void {
    const answers = this.sockets.get(socket);
    answers?.add(response);
    response.once('close', () => {
      answers?.delete(response);
      if (!this.listening && !answers?.size) socket.destroySoon();
    });
  }
}

const STATUSES: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
};
