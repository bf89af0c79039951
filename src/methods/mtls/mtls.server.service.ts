import {
  Inject,
  Injectable,
  Logger,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
} from '@nestjs/common';
import type { ConfigType } from '@nestjs/config';
import { HttpAdapterHost } from '@nestjs/core';
import { constants, type X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { Server as HttpServer } from 'node:http';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import {
  createServer as createTlsServer,
  type SecureContextOptions,
  type Server as TlsServer,
  type TLSSocket,
} from 'node:tls';
import { ClientCertificateEndpoint } from '../../authentication/client-certificate.js';
import { Settings } from '../../config/settings.js';
import { CertificateAuthorityService } from './mtls.certificate-authority.service.js';
import { mtlsConfig } from './mtls.config.js';
import { InvalidCertificate, isStrongKey } from './mtls.js';
import { ServerCertificateService } from './mtls.server-certificate.service.js';

const REFRESH_INTERVAL_MS = 60_000;
const HANDSHAKE_TIMEOUT_MS = 10_000;

/** Ephemeral key exchange and authenticated encryption only (RFC 9325 section 4.2). */
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  ...['ECDSA', 'RSA'].flatMap((key) =>
    ['AES128-GCM-SHA256', 'AES256-GCM-SHA384', 'CHACHA20-POLY1305'].map((cipher) => `ECDHE-${key}-${cipher}`),
  ),
].join(':');

/** State of one open TLS connection. */
export interface MtlsConnection {
  /** The last `Host` that {@link MtlsHostGuard} accepted. It stays valid until the connection closes. */
  verifiedHost?: string;
}

/**
 * A second listener, for TLS. It requests a client certificate and passes each connection to the application's own
 * HTTP server. The limits and timeouts of that server therefore apply here too.
 */
@Injectable()
export class MtlsServerService
  implements OnApplicationBootstrap, BeforeApplicationShutdown, OnApplicationShutdown
{
  private readonly logger = new Logger(MtlsServerService.name);
  private readonly connections = new Map<Socket, MtlsConnection>();
  /** Accepts connections. */
  private server: Server | undefined;
  /** Does the handshakes. */
  private tls: TlsServer | undefined;
  private refreshTimer: NodeJS.Timeout | undefined;
  private runningRefresh: Promise<void> = Promise.resolve();
  private queuedRefresh: Promise<void> | undefined;
  /** The URL of this listener. Empty before it listens. */
  url = '';

  constructor(
    private readonly adapter: HttpAdapterHost,
    private readonly authority: CertificateAuthorityService,
    private readonly certificate: ServerCertificateService,
    private readonly endpoint: ClientCertificateEndpoint,
    private readonly settings: Settings,
    @Inject(mtlsConfig.KEY) private readonly config: ConfigType<typeof mtlsConfig>,
  ) {}

  /** @throws Error if the port is in use, or if there is no usable server certificate */
  async onApplicationBootstrap(): Promise<void> {
    await this.authority.load();
    await this.load(Date.now());
    const options = {
      ...this.secureContext(),
      requestCert: true,
      // Node would drop every client without a certificate. accept() rejects invalid certificates.
      rejectUnauthorized: false,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      ALPNProtocols: ['http/1.1'],
    };
    const tls = createTlsServer(options, (socket) => this.accept(socket));
    // Node leaves a connection open after a handshake that failed or took too long.
    tls.on('tlsClientError', (_error, socket) => socket.destroy());
    this.tls = tls;
    this.server = createServer({ noDelay: true }, (socket) => {
      // The HTTP server limits the connections of all ports together (http/connections.ts). It may destroy this one.
      this.http.emit('handshake', socket);
      if (!socket.destroyed) tls.emit('connection', socket);
    });
    this.server.listen(this.config.port, this.settings.host);
    await once(this.server, 'listening');
    const { port } = this.server.address() as AddressInfo;
    this.url = `https://${new URL(this.settings.publicUrl).hostname}:${port}`;
    this.endpoint.url = this.url;
    this.refreshTimer = setInterval(() => void this.refresh(), REFRESH_INTERVAL_MS).unref();
  }

  /**
   * Reloads the server certificate and the CRL for new connections. An error is logged, and the previous state stays
   * until the next refresh. Callers that wait for a refresh which has not started share it.
   */
  refresh(now = Date.now()): Promise<void> {
    return (this.queuedRefresh ??= this.runningRefresh.then(() => {
      this.queuedRefresh = undefined;
      return (this.runningRefresh = this.load(now).catch((error: unknown) => this.logger.error(error)));
    }));
  }

  /** @returns undefined if the socket did not connect to this listener */
  connectionOf(socket: Socket): MtlsConnection | undefined {
    return this.connections.get(socket);
  }

  beforeApplicationShutdown(): void {
    clearInterval(this.refreshTimer);
    this.server?.close();
  }

  /** The HTTP server has closed by now, but it does not wait for these connections, so wait for them here. */
  async onApplicationShutdown(): Promise<void> {
    const closed = [...this.connections.keys()].map(
      (socket) => new Promise((resolve) => socket.once('close', resolve)),
    );
    await Promise.all(closed);
  }

  private async load(now: number): Promise<void> {
    try {
      await this.certificate.load(now);
      await this.authority.refreshCrl(now);
    } finally {
      this.tls?.setSecureContext(this.secureContext());
    }
  }

  private secureContext(): SecureContextOptions {
    return {
      ...this.certificate.current,
      // TLS would send the names of these CAs to the client, and Java then presents no certificate of another issuer, such
      // as a self-signed one. An empty list allows every certificate, and accept() verifies those of the private CA.
      ca: [],
      minVersion: 'TLSv1.2',
      ciphers: CIPHERS,
      honorCipherOrder: true,
      // A resumed session keeps the certificate of its first handshake. Sessions are disabled, so that each handshake
      // proves the private key again.
      secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
    };
  }

  /**
   * Accepts clients without a certificate: other methods can prove their requests. Accepts self-signed certificates too:
   * OAuth clients may have registered theirs (RFC 8705 section 2.2), and the mtls strategy rejects them. Closes the
   * connection for any other certificate that is not a valid one of the private CA.
   */
  private accept(socket: TLSSocket): void {
    const certificate = socket.getPeerX509Certificate();
    const reason = certificate && this.faultOf(certificate);
    if (reason) {
      this.logger.warn({ event: 'client certificate rejected', reason, ip: socket.remoteAddress });
      socket.destroy();
      return;
    }
    this.connections.set(socket, {});
    socket.once('close', () => this.connections.delete(socket));
    this.http.emit('connection', socket);
  }

  /** @returns why the certificate is rejected */
  private faultOf(certificate: X509Certificate): string | undefined {
    try {
      if (!isSelfSigned(certificate)) this.authority.verify(certificate, new Date());
      return undefined;
    } catch (error) {
      // An exception of node:crypto means a certificate that it cannot decode.
      return error instanceof InvalidCertificate ? error.message : `it cannot be decoded: ${String(error)}`;
    }
  }

  private get http(): HttpServer {
    return this.adapter.httpAdapter.getHttpServer() as HttpServer;
  }
}

/**
 * `checkIssued` would also require the key usage of a CA. Checks the key first: a signature of a longer RSA key takes too
 * long to verify.
 */
const isSelfSigned = (certificate: X509Certificate) =>
  certificate.issuer === certificate.subject &&
  isStrongKey(certificate.publicKey) &&
  certificate.verify(certificate.publicKey);
