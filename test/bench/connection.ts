import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

/** The certificates of a TLS connection. */
export interface TlsOptions {
  readonly ca: string;
  readonly cert?: string;
  readonly key?: string;
}

/** The number of connections of a load. */
export const CONNECTIONS = 10;

const NOTHING = Buffer.alloc(0);

/** A keep-alive connection with at most one request in flight. */
export class Connection {
  private received: Buffer = NOTHING;
  private onResponse: (() => void) | undefined;

  private constructor(private readonly socket: Socket) {
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.read(chunk));
    // An idle connection may end at any time.
    socket.on('error', () => {});
    socket.on('close', () => {
      if (this.onResponse) throw new Error('The server closed a connection that awaits a response.');
    });
  }

  static async open({ hostname, port, protocol }: URL, tls: TlsOptions | undefined): Promise<Connection> {
    const address = { host: hostname, port: Number(port) };
    const socket = protocol === 'https:' ? connectTls({ ...address, ...tls }) : connectTcp(address);
    await once(socket, protocol === 'https:' ? 'secureConnect' : 'connect');
    return new Connection(socket);
  }

  /** @param onResponse runs as soon as the response is complete; another status than 2xx throws */
  send(request: Buffer, onResponse: () => void): void {
    this.onResponse = onResponse;
    this.socket.write(request);
  }

  close(): void {
    this.onResponse = undefined;
    this.socket.destroy();
  }

  private read(chunk: Buffer): void {
    this.received = this.received.length ? Buffer.concat([this.received, chunk]) : chunk;
    const length = lengthOfResponse(this.received);
    if (length === undefined || this.received.length < length) return;
    const { onResponse } = this;
    if (this.received.length > length || !onResponse) throw new Error('A response is too long.');
    this.received = NOTHING;
    this.onResponse = undefined;
    onResponse();
  }
}

/** The length of a response in bytes; `undefined` until its header section is complete. */
function lengthOfResponse(bytes: Buffer): number | undefined {
  const end = bytes.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const head = bytes.toString('latin1', 0, end);
  const contentLength = /\r\ncontent-length: (\d+)/i.exec(head)?.[1];
  if (!head.startsWith('HTTP/1.1 2') || contentLength === undefined)
    throw new Error(`Unexpected response: ${bytes.toString('latin1', 0, 2000)}`);
  return end + 4 + Number(contentLength);
}
