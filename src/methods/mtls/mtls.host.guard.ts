import { HttpException, Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { isIP } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { authRequestOf } from '../../authentication/request.js';
import { Settings } from '../../config/settings.js';
import { ServerCertificateService } from './mtls.server-certificate.service.js';
import { MtlsServerService } from './mtls.server.service.js';

const HOST = /^(?:\[([\da-f:.]+)\]|([a-z\d.-]+))(?::\d+)?$/i;

/**
 * On a TLS connection, `Host` must equal the server name of the handshake (SNI, RFC 6066 section 3), and the server
 * certificate must cover it. Otherwise 421 (RFC 9110 section 15.5.20): the client verified another server than the one
 * that would respond. SNI cannot hold an IP address, and Java sends none for a name without a dot, such as the name of a
 * container. So without SNI, `Host` must be one of these, and covered too. A trusted proxy forwards the `Host` of its own
 * client, so it is exempt.
 */
@Injectable()
export class MtlsHostGuard implements CanActivate {
  constructor(
    private readonly server: MtlsServerService,
    private readonly certificate: ServerCertificateService,
    private readonly settings: Settings,
  ) {}

  canActivate(context: ExecutionContext): boolean {
    const { socket, authority } = authRequestOf(context);
    const connection = this.server.connectionOf(socket);
    if (!connection) return true;
    if (connection.verifiedHost === authority) return true;
    if (!this.isAddressedTo(socket as TLSSocket, authority) && !this.settings.trusts(socket.remoteAddress))
      throw new HttpException(
        {
          code: 'misdirected_request',
          detail: 'The Host header does not match the server name of this TLS connection.',
        },
        421,
      );
    connection.verifiedHost = authority;
    return true;
  }

  /** @param servername the SNI; false if the client sent none */
  private isAddressedTo({ servername }: TLSSocket, authority: string): boolean {
    const [, address, name] = HOST.exec(authority) ?? [];
    const host = (address ?? name ?? '').toLowerCase();
    const matchesSni = servername
      ? host === servername.toLowerCase()
      : isIP(host) !== 0 || !host.includes('.');
    return matchesSni && this.certificate.covers(host);
  }
}
