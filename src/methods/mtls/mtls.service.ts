import { ConflictException, Injectable, UnprocessableEntityException } from '@nestjs/common';
import { DataSource, MoreThan } from 'typeorm';
import type { Principal } from '../../authentication/principal.js';
import { AuditPort } from '../../authentication/ports.js';
import { CredentialsService } from '../../users/credentials.service.js';
import { Authority } from './mtls.certificate-authority.service.js';
import { ClientCertificate } from './mtls.entity.js';
import { MtlsListener } from './mtls.server.service.js';
import { UnfitRequest, readRequest } from './mtls.x509.js';

/** How long a certificate lives at most. */
export const LIFETIME = 90 * 24 * 60 * 60_000;
/** Revoked ones count until they expire, because the revocation list names them until then. */
const MOST_UNEXPIRED = 1_000;

/** The life of an account's own certificates. */
@Injectable()
export class Certificates {
  private readonly credentials: CredentialsService<ClientCertificate>;

  constructor(
    private readonly dataSource: DataSource,
    audit: AuditPort,
    private readonly authority: Authority,
    private readonly listener: MtlsListener,
  ) {
    this.credentials = new CredentialsService(dataSource, audit, ClientCertificate, 'certificate');
  }

  /**
   * @param csr the request for it, PEM
   * @returns the row, and the certificate in PEM, which is not kept
   * @throws UnprocessableEntityException `invalid_csr`
   */
  async issue(
    caller: Principal,
    csr: string,
    name: string,
    limits: { scopes?: readonly string[] | undefined; expiresAt?: Date | undefined },
  ): Promise<{ row: ClientCertificate; certificate: string }> {
    const publicKey = await readRequest(csr).catch(tellCaller);
    const unexpired = { userId: caller.id, expiresAt: MoreThan(new Date()) };
    if ((await this.dataSource.manager.countBy(ClientCertificate, unexpired)) >= MOST_UNEXPIRED)
      throw new ConflictException({
        code: 'too_many_credentials',
        detail: `An account has at most ${MOST_UNEXPIRED} certificates that have not expired, revoked ones included.`,
      });
    const notAfter = limits.expiresAt ?? new Date(Date.now() + LIFETIME);
    const { certificate, ...issued } = await this.authority.issueToClient(caller, publicKey, notAfter);
    const row = this.dataSource.manager.create(ClientCertificate, {
      ...issued,
      userId: caller.id,
      name,
      scopes: this.credentials.scopesFor(caller, limits.scopes),
      lastUsedAt: null,
      revokedAt: null,
    });
    return { row: await this.credentials.add(caller, row), certificate };
  }

  list(caller: Principal): Promise<ClientCertificate[]> {
    return this.credentials.list(caller);
  }

  /** Ends one: requests are refused from the next one on, and soon connections as well. */
  async revoke(caller: Principal, id: string): Promise<void> {
    await this.credentials.revoke(caller, id);
    await this.listener.refresh();
  }
}

function tellCaller(error: unknown): never {
  if (!(error instanceof UnfitRequest)) throw error;
  throw new UnprocessableEntityException({ code: 'invalid_csr', detail: error.message });
}
