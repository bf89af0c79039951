import {
  Injectable,
  Logger,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { constants } from 'node:crypto';
import { once } from 'node:events';
import type { Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createServer, type SecureContextOptions, type Server, type TLSSocket } from 'node:tls';
import { Settings } from '../../config/index.js';
import { Authority } from './mtls.authority.js';
import { mtlsConfig } from './mtls.config.js';
import { Revocations } from './mtls.revocations.js';
import { ServerCertificate } from './mtls.server-certificate.js';

const A_MINUTE = 60_000;

/** Keys agreed for each connection alone, and authenticated encryption (RFC 9325, section 4.2). */
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  ...['ECDSA', 'RSA'].flatMap((key) =>
    ['AES128-GCM-SHA256', 'AES256-GCM-SHA384', 'CHACHA20-POLY1305'].map((cipher) => `ECDHE-${key}-${cipher}`),
  ),
].join(':');

/**
 * The second listener. It speaks TLS, asks for a certificate, and hands the connection to the application's own HTTP
 * server, so that everything which holds for a connection there holds here.
 */
@Injectable()
export class MtlsListener
  implements OnApplicationBootstrap, BeforeApplicationShutdown, OnApplicationShutdown
{
  private readonly logger = new Logger(MtlsListener.name);
  private readonly connections = new Set<TLSSocket>();
  private server: Server | undefined;
  private ticking: NodeJS.Timeout | undefined;
  private loading: Promise<void> = Promise.resolve();

  constructor(
    private readonly adapter: HttpAdapterHost,
    private readonly authority: Authority,
    private readonly revocations: Revocations,
    private readonly certificate: ServerCertificate,
    private readonly settings: Settings,
  ) {}

  /** Where it listens, as callers write it. */
  get url(): string {
    const { port } = this.server!.address() as AddressInfo;
    return `https://${new URL(this.settings.publicUrl).hostname}:${port}`;
  }

  /** @throws Error where the port is taken, or there is no certificate to show */
  async onApplicationBootstrap(): Promise<void> {
    await this.load(Date.now());
    const options = {
      ...this.context(),
      requestCert: true,
      // A caller without a certificate is told so by the routes that want one; a bad certificate ends in admit().
      rejectUnauthorized: false,
      handshakeTimeout: 10_000,
      ALPNProtocols: ['http/1.1'],
      noDelay: true,
    };
    this.server = createServer(options, (socket) => this.admit(socket));
    this.server.listen(mtlsConfig(this.settings).port, this.settings.host);
    await once(this.server, 'listening');
    this.ticking = setInterval(() => void this.refresh(), A_MINUTE).unref();
  }

  /** Shows and asks for what is true now: the server's certificate, and the list of those that are revoked. */
  refresh(now = Date.now()): Promise<void> {
    this.loading = this.loading.then(async () => {
      try {
        if (await this.load(now)) this.server?.setSecureContext(this.context());
      } catch (error) {
        this.logger.error(error);
      }
    });
    return this.loading;
  }

  beforeApplicationShutdown(): void {
    clearInterval(this.ticking);
    this.server?.close();
  }

  /** The HTTP server is closed by now. It does not count these connections, so it has not waited for their answers. */
  async onApplicationShutdown(): Promise<void> {
    await Promise.all([...this.connections].map((socket) => once(socket, 'close')));
  }

  private async load(now: number): Promise<boolean> {
    const changed = [await this.certificate.load(now), await this.revocations.load(now)];
    return changed.includes(true);
  }

  private context(): SecureContextOptions {
    return {
      ...this.certificate.pair,
      ca: this.authority.certificate.toString(),
      crl: this.revocations.crl,
      minVersion: 'TLSv1.2',
      ciphers: CIPHERS,
      honorCipherOrder: true,
      // A resumed session is not asked for its certificate again: one that was revoked would still count as good.
      secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
    };
  }

  /** No certificate is let in, and stays without one. A bad certificate is not: its caller never speaks HTTP. */
  private admit(socket: TLSSocket): void {
    if (!socket.authorized && socket.getPeerX509Certificate()) {
      const reason = String(socket.authorizationError);
      this.logger.warn({ event: 'certificate refused', reason, ip: socket.remoteAddress });
      socket.destroy();
      return;
    }
    this.connections.add(socket);
    socket.once('close', () => this.connections.delete(socket));
    (this.adapter.httpAdapter.getHttpServer() as HttpServer).emit('connection', socket);
  }
}
