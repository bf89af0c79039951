import type { Socket } from 'node:net';
import type { Logger } from 'pino';
import { canonicalAddress, networkOf } from '../config/network.js';
import { clientOf, type Client } from './forwarded.js';
import type { HttpResponse } from './response.js';
import type { ServerConfig } from './server.config.js';

interface Connection {
  /** The socket accepted from the network. Closing it also closes the TLS connection over it. */
  readonly socket: Socket;
  /** The peer's address. The socket has none once the peer has reset the connection. */
  readonly address: string;
  /** Counts the connections of an address. Undefined for a trusted proxy, whose address stands for many clients. */
  readonly network: string | undefined;
  /** The response in progress, then those that wait for it. */
  readonly responses: HttpResponse[];
  /** Whether a response without keep-alive was sent: the connection closes after it (RFC 9112 section 9.6). */
  isClosing: boolean;
  /** When the current phase ends, in the milliseconds of `performance.now()`. */
  deadline: number;
}

/** The longest duration of each phase of a connection, in milliseconds. */
interface Timeouts {
  readonly handshakeTimeout: number;
  /** Until the next request has arrived. */
  readonly idleTimeout: number;
  readonly responseTimeout: number;
}

/** One timer for all connections: a timer for each would be replaced twice per request. */
const DEADLINE_CHECK_INTERVAL_MS = 250;

const LOG_INTERVAL_MS = 10_000;
/** More requests than any client sends before it reads a response. */
const MAX_PIPELINED_REQUESTS = 2_048;

/**
 * The open connections of all ports. Each phase of a connection has a deadline. Their number is limited in total and per
 * address: a new connection closes the oldest one that waits for its client, so a client that only opens connections
 * cannot keep others out.
 */
export class Connections {
  /** Also keyed by the TLS socket over the network's socket. */
  private readonly bySocket = new Map<Socket, Connection>();
  private readonly byNetwork = new Map<string, Set<Connection>>();
  /** In the order of their opening. */
  private readonly all = new Set<Connection>();
  private readonly handshakes = new Map<string, Connection>();
  private readonly deadlineChecks = setInterval(() => this.checkDeadlines(), DEADLINE_CHECK_INTERVAL_MS);
  private excess = 0;
  private lastLogged = -Infinity;
  private isDraining = false;

  /** @param start is called with a response once the previous one of its connection has been sent */
  constructor(
    private readonly config: ServerConfig,
    private readonly isTrustedProxy: (address: string) => boolean,
    private readonly log: Logger,
    private readonly timeouts: Timeouts,
    private readonly start: (response: HttpResponse, client: Client) => void,
  ) {
    this.deadlineChecks.unref();
  }

  /** Registers a connection whose first phase ends after `timeoutMs`. Destroys its socket if there are too many. */
  open(socket: Socket, timeoutMs: number): void {
    const address = canonicalAddress(socket.remoteAddress ?? '');
    // Without an address the client has already reset the connection.
    if (address === undefined) return void socket.destroy();
    const network = this.isTrustedProxy(address) ? undefined : networkOf(address);
    if (!this.makeRoom(network)) {
      this.logExcess(address);
      socket.destroy();
      return;
    }
    const deadline = performance.now() + timeoutMs;
    const connection: Connection = { socket, address, network, responses: [], isClosing: false, deadline };
    this.all.add(connection);
    this.bySocket.set(socket, connection);
    if (network !== undefined) this.ofNetwork(network).add(connection);
    socket.once('close', () => this.remove(connection));
  }

  /** Registers a connection whose first phase is a TLS handshake. */
  openHandshake(socket: Socket): void {
    this.open(socket, this.timeouts.handshakeTimeout);
    const connection = this.bySocket.get(socket);
    if (!connection) return;
    const endpoints = endpointsOf(socket);
    this.handshakes.set(endpoints, connection);
    socket.once('close', () => this.handshakes.delete(endpoints));
  }

  /** Ends the handshake of the connection below this TLS socket, which the server has not seen before. */
  finishHandshake(tlsSocket: Socket): void {
    // Node does not say which socket a TLS socket runs over, so compare their endpoints.
    const endpoints = endpointsOf(tlsSocket);
    const connection = this.handshakes.get(endpoints);
    if (!connection) return void tlsSocket.destroy();
    this.handshakes.delete(endpoints);
    this.bySocket.set(tlsSocket, connection);
    tlsSocket.once('close', () => this.bySocket.delete(tlsSocket));
    connection.deadline = performance.now() + this.timeouts.idleTimeout;
  }

  /** @returns the peer's address when the connection was opened */
  addressOf(socket: Socket): string | undefined {
    return this.bySocket.get(socket)?.address;
  }

  responsesOf(socket: Socket): readonly HttpResponse[] {
    return [...(this.bySocket.get(socket)?.responses ?? [])];
  }

  /**
   * Registers a response, and starts it after the previous one of its connection has been sent. Node would start all
   * requests of a packet at once. Its time begins when it starts.
   */
  track(response: HttpResponse): void {
    const connection = this.bySocket.get(response.req.socket);
    if (!connection) return;
    const { responses } = connection;
    if (connection.isClosing || responses.at(-1)?.shouldKeepAlive === false) return;
    if (responses.length >= MAX_PIPELINED_REQUESTS) return this.close(connection);
    responses.push(response);
    // V8 keeps the state of `once` until the next full garbage collection, and the request with it.
    response.on('close', () => this.finish(connection, response));
    if (responses.length === 1) this.startNext(connection);
  }

  private startNext(connection: Connection): void {
    const [response] = connection.responses;
    const { idleTimeout, responseTimeout } = this.timeouts;
    connection.deadline = performance.now() + (response ? responseTimeout : idleTimeout);
    if (!response) return;
    this.start(
      response,
      clientOf(response.req, connection.address, connection.network === undefined, this.isTrustedProxy),
    );
  }

  private finish(connection: Connection, response: HttpResponse): void {
    const { socket, responses } = connection;
    responses.splice(responses.indexOf(response), 1);
    connection.isClosing ||= !response.shouldKeepAlive;
    if (this.isDraining && !responses.length) socket.destroySoon();
    if (socket.writable) this.startNext(connection);
  }

  /** Closes every connection as soon as it has no response in progress. The last response announces it. */
  drain(): void {
    this.isDraining = true;
    for (const connection of this.all) {
      const newest = connection.responses.at(-1);
      if (!newest) this.close(connection);
      else if (!newest.headersSent) newest.shouldKeepAlive = false;
    }
  }

  closeAll(): void {
    clearInterval(this.deadlineChecks);
    for (const connection of this.all) this.close(connection);
  }

  private checkDeadlines(): void {
    const now = performance.now();
    for (const connection of this.all) if (connection.deadline <= now) this.close(connection);
  }

  /** @returns false if there are too many connections, and the server works for every one of them */
  private makeRoom(network: string | undefined): boolean {
    if (network !== undefined) {
      const siblings = this.byNetwork.get(network) ?? new Set();
      if (siblings.size >= this.config.maxConnectionsPerAddress && !this.closeOldest(siblings)) return false;
    }
    return this.all.size < this.config.maxConnections || this.closeOldest(this.all);
  }

  /** Closes the oldest connection that waits for its client. A proxy's idle connections serve its next clients. */
  private closeOldest(connections: Iterable<Connection>): boolean {
    for (const connection of connections)
      if (connection.network !== undefined && isWaiting(connection)) {
        this.logExcess(connection.address);
        this.close(connection);
        return true;
      }
    return false;
  }

  private close(connection: Connection): void {
    this.remove(connection);
    connection.socket.destroy();
  }

  private remove(connection: Connection): void {
    const { socket, network } = connection;
    this.all.delete(connection);
    this.bySocket.delete(socket);
    if (network === undefined) return;
    const siblings = this.byNetwork.get(network);
    siblings?.delete(connection);
    if (!siblings?.size) this.byNetwork.delete(network);
  }

  private ofNetwork(network: string): Set<Connection> {
    const connections = this.byNetwork.get(network) ?? new Set();
    this.byNetwork.set(network, connections);
    return connections;
  }

  private logExcess(address: string): void {
    this.excess++;
    if (performance.now() - this.lastLogged < LOG_INTERVAL_MS) return;
    this.log.warn({ event: 'too many connections', closed: this.excess, ip: address });
    this.excess = 0;
    this.lastLogged = performance.now();
  }
}

/** Whether the client is to act next: finish a handshake, send the rest of a request, or read a response. */
function isWaiting({ responses }: Connection): boolean {
  const [current] = responses;
  return !current?.req.complete || current.writableEnded;
}

const endpointsOf = ({ remoteAddress, remotePort, localAddress, localPort }: Socket) =>
  [remoteAddress, remotePort, localAddress, localPort].join(' ');
