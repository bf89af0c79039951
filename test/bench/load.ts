import { CONNECTIONS, Connection, type TlsOptions } from './connection.js';

/** Requests to one route. */
export interface Load {
  readonly url: string;
  /** Sets of headers, used one after the other. */
  readonly headers: readonly Readonly<Record<string, string>>[];
  /** The body of a POST; without it the requests are GETs. */
  readonly body?: string;
  readonly tls?: TlsOptions;
}

/** Requests per second, and latencies in milliseconds. */
export interface Throughput {
  readonly requests: number;
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
}

/** Messages in this order: `prepare` once or before each run, then `connect` and `run`. The answer to `run` is a {@link Throughput}. */
export type LoadMessage =
  | { readonly prepare: Load; readonly name: string }
  | { readonly connect: string }
  | { readonly run: string; readonly requests: number };

let connections: Connection[] = [];

class PreparedLoad {
  private readonly url: URL;
  private readonly requests: readonly Buffer[];
  private next = 0;

  constructor(private readonly load: Load) {
    this.url = new URL(load.url);
    this.requests = load.headers.map((headers) => bytesOf(this.url, headers, load.body));
  }

  /** Replaces the connections by new ones, and sends a request on each: the cost of a connection is not part of the load. */
  async connect(): Promise<void> {
    for (const connection of connections) connection.close();
    const open = () => Connection.open(this.url, this.load.tls);
    connections = await Promise.all(Array.from({ length: CONNECTIONS }, open));
    await this.run(CONNECTIONS);
  }

  async run(requests: number): Promise<Throughput> {
    const latencies: number[] = [];
    const start = performance.now();
    const stopSpinning = keepAwake();
    await this.sendAll(requests, latencies);
    stopSpinning();
    const seconds = (performance.now() - start) / 1000;
    latencies.sort((a, b) => a - b);
    const at = (share: number) => latencies[Math.floor(latencies.length * share)]!;
    return { requests: latencies.length, perSecond: latencies.length / seconds, p50: at(0.5), p99: at(0.99) };
  }

  /** Sends on each connection one request after the other. Callbacks, not promises: the fastest server must not wait. */
  private sendAll(requests: number, latencies: number[]): Promise<void> {
    return new Promise((resolve) => {
      let remaining = requests;
      let open = connections.length;
      const sendNext = (connection: Connection) => {
        if (remaining === 0) {
          if (--open === 0) resolve();
          return;
        }
        remaining--;
        const sent = performance.now();
        connection.send(this.nextRequest(), () => {
          latencies.push(performance.now() - sent);
          sendNext(connection);
        });
      };
      for (const connection of connections) sendNext(connection);
    });
  }

  private nextRequest(): Buffer {
    if (this.next === this.requests.length) this.next = 0;
    return this.requests[this.next++]!;
  }
}

function bytesOf(url: URL, headers: Load['headers'][number], body?: string): Buffer {
  const fields = {
    host: url.host,
    ...headers,
    ...(body !== undefined && { 'content-length': String(Buffer.byteLength(body)) }),
  };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  const method = body === undefined ? 'GET' : 'POST';
  return Buffer.from(
    `${method} ${url.pathname}${url.search} HTTP/1.1\r\n${lines.join('')}\r\n${body ?? ''}`,
    'latin1',
  );
}

/** Keeps the event loop turning. A generator that sleeps adds the cost of waking it to the server. @returns a function that stops it */
function keepAwake(): () => void {
  let isRunning = true;
  const turn = () => void (isRunning && setImmediate(turn));
  turn();
  return () => (isRunning = false);
}

const prepared = new Map<string, PreparedLoad>();

async function answer(message: LoadMessage): Promise<object> {
  if ('prepare' in message) {
    prepared.set(message.name, new PreparedLoad(message.prepare));
    return {};
  }
  if ('run' in message) return prepared.get(message.run)!.run(message.requests);
  await prepared.get(message.connect)!.connect();
  return {};
}

const fail = (error: Error) => process.send!({ failed: error.message });
process.on('message', (message: LoadMessage) => {
  answer(message).then((result) => process.send!(result), fail);
});
process.on('uncaughtException', fail);
process.once('disconnect', () => process.exit(0));
