import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';

export interface WireResponse {
  readonly status: number;
  readonly head: string;
  readonly body: { code?: string; id?: string; proofs?: [{ at: string }] };
}

/** A TLS connection on which a test writes HTTP/1.1 itself. */
export class TlsConnection {
  private text = '';
  private closed = false;
  private wake = () => {};

  private constructor(readonly socket: TLSSocket) {
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      this.text += chunk;
      this.wake();
    });
    socket.on('close', () => {
      this.closed = true;
      this.wake();
    });
  }

  /** Resolves when the client has finished the handshake. The server may still reject it. */
  static open(port: number, options: ConnectionOptions): Promise<TlsConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', servername: 'localhost', ...options });
      const wire = new TlsConnection(socket);
      socket.once('secureConnect', () => resolve(wire));
      socket.on('error', reject);
    });
  }

  /** @returns undefined if the server closed the connection */
  async get(path: string, ...headers: readonly string[]): Promise<WireResponse | undefined> {
    const host = headers.some((header) => /^host:/i.test(header)) ? [] : ['Host: localhost'];
    this.socket.write([`GET ${path} HTTP/1.1`, ...host, ...headers, '', ''].join('\r\n'));
    for (;;) {
      const [, head = '', rest] = /^([\s\S]*?\r\n)\r\n([\s\S]*)$/.exec(this.text) ?? [];
      const length = Number(/^content-length: (\d+)/im.exec(head)?.[1]);
      if (rest !== undefined && Buffer.byteLength(rest) >= length) {
        this.text = rest.slice(length);
        return { status: Number(head.split(' ')[1]), head, body: JSON.parse(rest) as WireResponse['body'] };
      }
      if (this.closed) return undefined;
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }

  close(): void {
    this.socket.destroy();
  }
}
