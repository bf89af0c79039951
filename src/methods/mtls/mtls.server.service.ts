import {
  Injectable,
  Logger,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { constants, type X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { Server as HttpServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { createServer, type SecureContextOptions, type Server, type TLSSocket } from 'node:tls';
import { requestsClientCertificates } from '../../authentication/client-certificate.js';
import { Settings } from '../../config/settings.js';
import { Authority } from './mtls.certificate-authority.service.js';
import { mtlsConfig } from './mtls.config.js';
import { Revocations } from './mtls.revocations.js';
import { ServerCertificate } from './mtls.server-certificate.service.js';

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
  private readonly connections = new Set<Socket>();
  private server: Server | undefined;
  private ticking: NodeJS.Timeout | undefined;
  private refreshing: Promise<void> = Promise.resolve();
  private next: Promise<void> | undefined;
  /** Where it listens, as callers write it. */
  url = '';

  constructor(
    private readonly adapter: HttpAdapterHost,
    private readonly authority: Authority,
    private readonly revocations: Revocations,
    private readonly certificate: ServerCertificate,
    private readonly settings: Settings,
  ) {}

  /** @throws Error where the port is taken, or there is no certificate to show */
  async onApplicationBootstrap(): Promise<void> {
    await this.authority.load();
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
    const { port } = this.server.address() as AddressInfo;
    this.url = `https://${new URL(this.settings.publicUrl).hostname}:${port}`;
    requestsClientCertificates.set(this.adapter.httpAdapter.getHttpServer() as HttpServer, this.url);
    this.ticking = setInterval(() => void this.refresh(), A_MINUTE).unref();
  }

  /**
   * Connections to come are made with what is true now: the server's certificate, the list of those that are revoked.
   * A refresh that has not begun yet is enough for all who wait for one.
   */
  refresh(now = Date.now()): Promise<void> {
    return (this.next ??= this.refreshing.then(() => {
      this.next = undefined;
      // What cannot be had now (the database is down, say) stays as it is until the next minute.
      return (this.refreshing = this.load(now).catch((error: unknown) => this.logger.error(error)));
    }));
  }

  /** Whether a connection was made here. */
  has(socket: Socket): boolean {
    return this.connections.has(socket);
  }

  beforeApplicationShutdown(): void {
    clearInterval(this.ticking);
    this.server?.close();
  }

  /** The HTTP server is closed by now. It does not count these connections, so it has not waited for their answers. */
  async onApplicationShutdown(): Promise<void> {
    const ends = [...this.connections].map((socket) => new Promise((end) => socket.once('close', end)));
    await Promise.all(ends);
  }

  private async load(now: number): Promise<void> {
    try {
      await this.certificate.load(now);
      await this.revocations.load(now);
    } finally {
      this.server?.setSecureContext(this.context());
    }
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

  /**
   * No certificate is let in, and stays without one. One that nobody has issued is let in as well: some have it registered
   * as it is (RFC 8705, section 2.2), and here it is worth nothing. Any other bad one is not: its caller never speaks HTTP.
   */
  private admit(socket: TLSSocket): void {
    const shown = socket.authorized ? undefined : socket.getPeerX509Certificate();
    if (shown && !isSelfSigned(shown)) {
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

const isSelfSigned = (certificate: X509Certificate) =>
  certificate.checkIssued(certificate) && certificate.verify(certificate.publicKey);
