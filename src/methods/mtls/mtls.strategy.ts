import { Injectable } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { LRUCache } from 'lru-cache';
import type { X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { Strategy } from 'passport-custom';
import { DataSource } from 'typeorm';
import { BadCredential, Challenge } from '../../authentication/challenge.js';
import {
  forwardedCertificate,
  parseClientCert,
  ambiguousCertificates,
} from '../../authentication/client-certificate.js';
import type { AuthRequest } from '../../authentication/request.js';
import type { AuthStrategy } from '../../authentication/method.js';
import type { Principal } from '../../authentication/principal.js';
import { LastUsedPort } from '../../authentication/ports.js';
import { Settings } from '../../config/settings.js';
import { dateFromRow, nullableDateFromRow } from '../../database/raw-dates.js';
import {
  accountOfActive,
  credentialQuery,
  scopesFromRow,
  type CredentialRow,
} from '../../users/credential.js';
import { principalOf } from '../../users/principal-of.js';
import { LIFETIME } from './mtls.service.js';
import { Authority } from './mtls.certificate-authority.service.js';
import { ClientCertificate } from './mtls.entity.js';
import { UnfitCertificate, nameOf, readCertificate, type Client } from './mtls.js';

/** One code for every wrong certificate, whatever is wrong with it; the log has the reason. */
const CODE = 'invalid_certificate';
const REMEMBERED = 1_000;
const A_MINUTE = 60_000;

const COLUMNS = ['fingerprint', 'createdAt'] as const;

interface Row extends CredentialRow {
  readonly fingerprint: string;
  readonly createdAt: Date | string;
  readonly expiresAt: Date | string;
}

/** A certificate that was shown, and when its key was proved; or why nobody signs in with it. */
type Shown = { readonly client: Client; readonly at: Date } | { readonly fault: string };

/**
 * A certificate is read and verified once for each connection, for it cannot change. What can change, its row and its
 * account, is read on every request, in one query.
 */
@Injectable()
export class MtlsStrategy extends PassportStrategy(Strategy, 'mtls') implements AuthStrategy {
  /** TLS has no scheme of its own in HTTP: the name is this project's. */
  readonly challenge = new Challenge('TLS-Client-Certificate', { realm: 'auth-atlas' });
  readonly ambient = true;

  private readonly ofSockets = new WeakMap<Socket, Shown | 'nothing'>();
  private readonly ofFields = new LRUCache<string, Client>({ max: REMEMBERED });
  private readonly find: (id: string) => Promise<Row | undefined>;

  constructor(
    dataSource: DataSource,
    private readonly authority: Authority,
    private readonly settings: Settings,
    private readonly lastUsed: LastUsedPort,
  ) {
    super();
    this.find = credentialQuery<Row>(dataSource, 'client_certificates', COLUMNS);
  }

  claims(request: AuthRequest): boolean {
    return (
      (this.fieldOf(request) !== undefined || this.ofSocket(request.socket) !== undefined) &&
      !isForeign(request)
    );
  }

  async validate(request: AuthRequest): Promise<Principal> {
    const shown = this.shownBy(request);
    if ('fault' in shown) throw refused(shown.fault);
    const { client, at } = shown;
    const now = new Date();
    if (now < client.notBefore || now >= client.notAfter) throw refused('not its time');
    const row = await this.find(client.serial);
    if (!row || row.fingerprint !== client.fingerprint) throw refused('not one that is known here');
    const account = accountOfActive(row, refused);
    if (client.name !== nameOf(account)) throw refused(`${row.id} names another account`).ofAccount(account);
    const proof = {
      method: 'mtls',
      credentialId: row.id,
      at,
      amr: ['pop'],
      bound: true,
      ...(hasChosenEnd(row) && ({ restricted: true } as const)),
    } as const;
    const principal = principalOf(account, proof, refused, scopesFromRow(row));
    this.lastUsed.touch(ClientCertificate, 'lastUsedAt', row.id, nullableDateFromRow(row.lastUsedAt));
    return principal;
  }

  private shownBy(request: AuthRequest): Shown {
    const field = this.fieldOf(request);
    const ofSocket = this.ofSocket(request.socket);
    if (field !== undefined && ofSocket) throw ambiguousCertificates();
    return field === undefined ? ofSocket! : this.ofField(field);
  }

  private fieldOf(request: AuthRequest): string | undefined {
    return forwardedCertificate(request, (address) => this.settings.trusts(address));
  }

  private ofField(field: string): Shown {
    const known = this.ofFields.get(field);
    if (known) return { client: known, at: new Date() };
    const certificate = parseClientCert(field);
    const shown = certificate ? this.read(certificate) : { fault: 'Client-Cert holds no certificate' };
    if ('client' in shown) this.ofFields.set(field, shown.client);
    return shown;
  }

  private ofSocket(socket: Socket): Shown | undefined {
    if (!(socket instanceof TLSSocket)) return undefined;
    let shown = this.ofSockets.get(socket);
    if (!shown) {
      const certificate = socket.getPeerX509Certificate();
      this.ofSockets.set(socket, (shown = certificate ? this.read(certificate) : 'nothing'));
    }
    return shown === 'nothing' ? undefined : shown;
  }

  private read(certificate: X509Certificate): Shown {
    try {
      return { client: readCertificate(certificate, this.authority.certificate), at: new Date() };
    } catch (error) {
      if (error instanceof UnfitCertificate) return { fault: error.message };
      throw error;
    }
  }
}

/** A browser shows a certificate whoever makes it ask. What another site makes it ask for, it asks for as nobody. */
const isForeign = (request: AuthRequest) =>
  !['same-origin', 'none', undefined].includes(request.header('Sec-Fetch-Site'));

/** Whether its owner wanted it to end sooner than any other, give or take the time that issuing takes. */
const hasChosenEnd = ({ createdAt, expiresAt }: Row) =>
  dateFromRow(expiresAt).getTime() - dateFromRow(createdAt).getTime() < LIFETIME - A_MINUTE;

const refused = (reason: string) => new BadCredential(CODE, reason);
