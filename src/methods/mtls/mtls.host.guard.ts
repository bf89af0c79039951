import { HttpException, Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { isIP, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { authRequestOf } from '../../authentication/caller.js';
import { Settings } from '../../config/settings.js';
import { MtlsListener } from './mtls.server.service.js';
import { ServerCertificate } from './mtls.server-certificate.service.js';

const HOST = /^(?:\[([\da-f:.]+)\]|([a-z\d.-]+))(?::\d+)?$/i;

/**
 * On a TLS connection, `Host` must be the name that the client asked for in the handshake (SNI, RFC 6066, section 3),
 * and the certificate must be for it: else the client has verified another server than the one it now speaks to. Who
 * named none has connected to an address. A proxy that we trust has its own connection, and its client's Host.
 */
@Injectable()
export class MtlsHostGuard implements CanActivate {
  /** The Host that each connection has had: what was right once stays right on it. */
  private readonly right = new WeakMap<Socket, string>();

  constructor(
    private readonly listener: MtlsListener,
    private readonly certificate: ServerCertificate,
    private readonly settings: Settings,
  ) {}

  canActivate(context: ExecutionContext): boolean {
    const { socket, authority } = authRequestOf(context);
    if (!this.listener.has(socket) || this.right.get(socket) === authority) return true;
    if (!this.isRight(socket as TLSSocket, authority) && !this.settings.trusts(socket.remoteAddress))
      throw new HttpException(
        {
          code: 'misdirected_request',
          detail: 'Host is not the name that this TLS connection was made for.',
        },
        421,
      );
    this.right.set(socket, authority);
    return true;
  }

  /** @param asked is a string, or false where none was named */
  private isRight({ servername: asked }: TLSSocket, authority: string): boolean {
    const [, address, name] = HOST.exec(authority) ?? [];
    const host = (address ?? name ?? '').toLowerCase();
    const meant = asked ? host === asked.toLowerCase() : isIP(host) !== 0;
    return meant && this.certificate.isFor(host);
  }
}
