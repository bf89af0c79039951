import { HttpException, Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { isIP } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { authRequestOf } from '../../auth/index.js';
import { Settings } from '../../config/index.js';
import { MtlsListener } from './mtls.listener.js';
import { ServerCertificate } from './mtls.server-certificate.js';

const HOST = /^(?:\[([\da-f:.]+)\]|([a-z\d.-]+))(?::\d+)?$/i;

/**
 * On a TLS connection, `Host` must be the name that the client asked for in the handshake (SNI, RFC 6066, section 3),
 * and the certificate must be for it: else the client has verified another server than the one it now speaks to. Who
 * named none has connected to an address. A proxy that we trust has its own connection, and its client's Host.
 */
@Injectable()
export class MtlsHostGuard implements CanActivate {
  constructor(
    private readonly listener: MtlsListener,
    private readonly certificate: ServerCertificate,
    private readonly settings: Settings,
  ) {}

  canActivate(context: ExecutionContext): boolean {
    const { socket, authority } = authRequestOf(context);
    if (!this.listener.has(socket) || this.settings.trusts(socket.remoteAddress)) return true;
    const [, address, name] = HOST.exec(authority) ?? [];
    const host = (address ?? name ?? '').toLowerCase();
    // A string, or false where none was named.
    const { servername: asked } = socket as TLSSocket;
    const meant = asked ? host === asked.toLowerCase() : isIP(host) !== 0;
    if (meant && this.certificate.isFor(host)) return true;
    throw new HttpException(
      { code: 'misdirected_request', detail: 'Host is not the name that this TLS connection was made for.' },
      421,
    );
  }
}
