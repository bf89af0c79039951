import { ConflictException, Injectable, UnprocessableEntityException } from '@nestjs/common';
import { DataSource, MoreThan, type EntityManager } from 'typeorm';
import type { Principal } from '../../authentication/principal.js';
import { type Account, AccountAdministration, AuditPort } from '../../authentication/ports.js';
import { CredentialsService } from '../../users/credentials.service.js';
import { CertificateAuthorityService } from './mtls.certificate-authority.service.js';
import { ClientCertificate } from './mtls.entity.js';
import { MtlsServerService } from './mtls.server.service.js';
import { InvalidCsr, publicKeyFromCsr } from './mtls.x509.js';

export const CERTIFICATE_LIFETIME_MS = 90 * 24 * 60 * 60_000;
/** Counts revoked certificates too: the CRL lists them until they expire, so this limits its size. */
const MAX_UNEXPIRED_CERTIFICATES_PER_USER = 1_000;

/** Issues, lists and revokes an account's own certificates. */
@Injectable()
export class MtlsService {
  private readonly credentials: CredentialsService<ClientCertificate>;

  constructor(
    private readonly dataSource: DataSource,
    audit: AuditPort,
    administration: AccountAdministration,
    private readonly authority: CertificateAuthorityService,
    private readonly server: MtlsServerService,
  ) {
    this.credentials = new CredentialsService(dataSource, audit, administration, ClientCertificate, {
      kind: 'certificate',
      method: 'mtls',
    });
  }

  /**
   * @param csr the certificate signing request (PKCS #10, RFC 2986), in PEM
   * @returns the row, and the certificate in PEM, which is not stored
   * @throws UnprocessableEntityException `invalid_csr`
   * @throws ConflictException `too_many_credentials`
   */
  async issue(
    caller: Principal,
    csr: string,
    name: string,
    limits: {
      scopes?: readonly string[] | undefined;
      expiresAt?: Date | undefined;
      accountId?: string | undefined;
    },
  ): Promise<{ row: ClientCertificate; certificate: string }> {
    const publicKey = await publicKeyFromCsr(csr).catch(rethrowAsHttpError);
    const account = await this.credentials.accountOf(caller, limits.accountId);
    const notAfter = limits.expiresAt ?? new Date(Date.now() + CERTIFICATE_LIFETIME_MS);
    const { certificate, ...issued } = await this.authority.issueClientCertificate(
      account,
      publicKey,
      notAfter,
    );
    const row = this.dataSource.manager.create(ClientCertificate, {
      ...issued,
      userId: account.id,
      name,
      scopes: this.credentials.scopesFor(caller, limits.scopes),
      lastUsedAt: null,
      revokedAt: null,
    });
    return { row: await this.credentials.add(caller, row, assertFewCertificates(account)), certificate };
  }

  list(caller: Principal, accountId?: string): Promise<ClientCertificate[]> {
    return this.credentials.list(caller, accountId);
  }

  /** Revokes a certificate and refreshes the CRL. Open connections stay, but their next request is rejected. */
  async revoke(caller: Principal, id: string): Promise<void> {
    await this.credentials.revoke(caller, id);
    await this.server.refresh();
  }
}

const assertFewCertificates =
  ({ id: userId }: Account) =>
  async (manager: EntityManager): Promise<void> => {
    const count = await manager.countBy(ClientCertificate, { userId, expiresAt: MoreThan(new Date()) });
    if (count >= MAX_UNEXPIRED_CERTIFICATES_PER_USER)
      throw new ConflictException({
        code: 'too_many_credentials',
        detail: `An account has at most ${MAX_UNEXPIRED_CERTIFICATES_PER_USER} certificates that have not expired, revoked ones included.`,
      });
  };

function rethrowAsHttpError(error: unknown): never {
  if (!(error instanceof InvalidCsr)) throw error;
  throw new UnprocessableEntityException({ code: 'invalid_csr', detail: error.message });
}
