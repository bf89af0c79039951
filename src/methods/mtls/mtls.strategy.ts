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
  ClientCertificateEndpoint,
  forwardedCertificate,
  parseClientCert,
  ambiguousCertificates,
} from '../../authentication/client-certificate.js';
import { isCrossSite, type AuthRequest } from '../../authentication/request.js';
import type { AuthStrategy } from '../../authentication/method.js';
import type { Principal } from '../../authentication/principal.js';
import { LastUsedPort } from '../../authentication/ports.js';
import { Settings } from '../../config/settings.js';
import { nullableDateFromRow } from '../../database/columns.js';
import type { RowFinder } from '../../database/row-finder.js';
import {
  accountOfActive,
  credentialFinder,
  scopesFromRow,
  type CredentialRow,
} from '../../users/credential.js';
import { CertificateAuthorityService } from './mtls.certificate-authority.service.js';
import { ClientCertificate } from './mtls.entity.js';
import {
  InvalidCertificate,
  spiffeIdOf,
  validityPeriodFault,
  verifyCertificate,
  type CertificateIdentity,
} from './mtls.js';
import { principalOf, type User } from '../../users/user.entity.js';

/** One code for every invalid certificate. The log has the reason. */
const ERROR_CODE = 'invalid_certificate';
const MAX_CACHED_HEADERS = 1_000;

const COLUMNS = ['fingerprint'] as const;

interface Row extends CredentialRow {
  readonly fingerprint: string;
}

/** The verified certificate and when its key was proved, or the reason why it is invalid. */
type Verification =
  { readonly identity: CertificateIdentity; readonly at: Date } | { readonly fault: string };

/**
 * Verifies a certificate once per connection, because it cannot change. Reads its row and its account on every
 * request, in one query.
 */
@Injectable()
export class MtlsStrategy extends PassportStrategy(Strategy, 'mtls') implements AuthStrategy {
  /** HTTP registers no authentication scheme for TLS, so this scheme is the project's own. */
  readonly challenge = new Challenge('TLS-Client-Certificate', { realm: 'auth-atlas' });
  readonly ambient = true;

  /**
   * Keyed by the connection, and freed with it. A WeakMap, because Node's socket has no field for application data and
   * the request object is new for each request.
   */
  private readonly bySocket = new WeakMap<Socket, Verification | 'no certificate'>();
  private readonly byHeader = new LRUCache<string, CertificateIdentity>({ max: MAX_CACHED_HEADERS });
  private readonly find: RowFinder<Row>;

  constructor(
    dataSource: DataSource,
    private readonly authority: CertificateAuthorityService,
    private readonly settings: Settings,
    private readonly endpoint: ClientCertificateEndpoint,
    private readonly lastUsed: LastUsedPort,
  ) {
    super();
    endpoint.isValid = (certificate) => this.isValid(certificate);
    this.find = credentialFinder<Row>(dataSource, 'client_certificates', COLUMNS);
  }

  claims(request: AuthRequest): boolean {
    const present =
      this.clientCertHeader(request) !== undefined || this.verifySocket(request.socket) !== undefined;
    return present && !this.isCrossSite(request);
  }

  /** A browser sends its certificate with cross-site requests too. Ignore it there, so that no other site can use it. */
  private isCrossSite(request: AuthRequest): boolean {
    const isOwn = (origin: string) => origin === this.endpoint.url || this.settings.isOwnOrigin(origin);
    return isCrossSite(request, isOwn);
  }

  async validate(request: AuthRequest): Promise<Principal> {
    const verification = this.verifyRequest(request);
    if ('fault' in verification) throw invalidCredential(verification.fault);
    const { identity, at } = verification;
    const { row, account } = await this.findActive(identity);
    const proof = {
      method: 'mtls',
      credentialId: row.id,
      at,
      amr: ['pop'],
      bound: true,
    } as const;
    const principal = principalOf(account, proof, invalidCredential, scopesFromRow(row));
    this.lastUsed.touch(ClientCertificate, 'lastUsedAt', row.id, nullableDateFromRow(row.lastUsedAt));
    return principal;
  }

  /**
   * Finds the row of a certificate and its account.
   * @throws BadCredential if the certificate is unknown, revoked or outside of its period of validity
   */
  private async findActive(identity: CertificateIdentity): Promise<{ row: Row; account: User }> {
    const fault = validityPeriodFault(identity, new Date());
    if (fault) throw invalidCredential(fault);
    const row = await this.find(identity.serial);
    if (!row || row.fingerprint !== identity.fingerprint) throw invalidCredential('unknown certificate');
    const account = accountOfActive(row, invalidCredential);
    if (identity.spiffeId !== spiffeIdOf(account))
      throw invalidCredential(`${row.id} names another account`).ofAccount(account);
    return { row, account };
  }

  private async isValid(certificate: X509Certificate): Promise<boolean> {
    const verification = this.verify(certificate);
    if ('fault' in verification) return false;
    try {
      const { account } = await this.findActive(verification.identity);
      return !account.disabledAt;
    } catch (error) {
      if (error instanceof BadCredential) return false;
      throw error;
    }
  }

  private verifyRequest(request: AuthRequest): Verification {
    const header = this.clientCertHeader(request);
    const fromSocket = this.verifySocket(request.socket);
    if (header === undefined) return fromSocket!;
    if (fromSocket) throw ambiguousCertificates();
    return this.verifyHeader(header);
  }

  private clientCertHeader(request: AuthRequest): string | undefined {
    return forwardedCertificate(request, (address) => this.settings.trusts(address));
  }

  /** A proxy sends no handshake time, so the proof counts from this request. */
  private verifyHeader(header: string): Verification {
    const cached = this.byHeader.get(header);
    if (cached) return { identity: cached, at: new Date() };
    const certificate = parseClientCert(header);
    if (!certificate) return { fault: 'Client-Cert holds no certificate' };
    const verification = this.verify(certificate);
    if ('identity' in verification) this.byHeader.set(header, verification.identity);
    return verification;
  }

  private verifySocket(socket: Socket): Verification | undefined {
    if (!(socket instanceof TLSSocket)) return undefined;
    let verification = this.bySocket.get(socket);
    if (!verification) {
      const certificate = socket.getPeerX509Certificate();
      verification = certificate ? this.verify(certificate) : 'no certificate';
      this.bySocket.set(socket, verification);
    }
    return verification === 'no certificate' ? undefined : verification;
  }

  private verify(certificate: X509Certificate): Verification {
    try {
      return { identity: verifyCertificate(certificate, this.authority.certificate), at: new Date() };
    } catch (error) {
      if (error instanceof InvalidCertificate) return { fault: error.message };
      throw error;
    }
  }
}

const invalidCredential = (reason: string) => new BadCredential(ERROR_CODE, reason);
