import { Injectable } from '@nestjs/common';
import { X509Certificate, type KeyObject } from 'node:crypto';
import { DataSource, IsNull, Not } from 'typeorm';
import { Settings } from '../../config/settings.js';
import { SecretBox } from '../../crypto/secret-box.js';
import type { User } from '../../users/user.entity.js';
import { CertificateAuthority, ClientCertificate } from './mtls.entity.js';
import {
  InvalidCertificate,
  certificateFingerprint,
  spiffeIdOf,
  validityPeriodFault,
  verifyCertificate,
} from './mtls.js';
import {
  createCa,
  createCrl,
  issueCertificate,
  newSerialNumber,
  parseCa,
  type CaKeyPair,
} from './mtls.x509.js';

/** The primary key of the one row in `certificate_authorities`. */
const CA_ROW = 'mtls';
/** Certificates and CRLs start earlier than now, for clocks that run behind. */
const BACKDATE_MS = 5 * 60_000;
const CRL_RENEWAL_MS = 60 * 60_000;
/** While the CRL is older than this (`nextUpdate`, RFC 5280 section 5.1.2.5), every certificate is rejected. */
const CRL_LIFETIME_MS = 24 * 60 * 60_000;

/** The private CA. It is stored in the database, so all processes share it; its private key is encrypted there. */
@Injectable()
export class CertificateAuthorityService {
  /** The current certificate revocation list, in PEM. Empty before the first {@link refreshCrl}. */
  crl = '';
  /** The serial numbers in the CRL. */
  private revoked: ReadonlySet<string> = new Set();
  private crlCreatedAt = 0;
  private ca!: CaKeyPair;
  private readonly box: SecretBox;

  constructor(
    private readonly dataSource: DataSource,
    private readonly settings: Settings,
  ) {
    this.box = new SecretBox(settings, 'mtls authority');
  }

  /** The CA's own certificate. */
  get certificate(): X509Certificate {
    return this.ca.certificate;
  }

  /**
   * Loads the CA, or creates it on the first start. {@link MtlsServerService} calls it during bootstrap.
   * @throws Error if the private key was encrypted with a secret that is no longer set
   */
  async load(): Promise<void> {
    const { manager } = this.dataSource;
    if (!(await manager.existsBy(CertificateAuthority, { name: CA_ROW }))) await this.create();
    const { certificate, sealed } = await manager.findOneByOrFail(CertificateAuthority, { name: CA_ROW });
    const privateKey = this.box.open(sealed, CA_ROW);
    this.ca = parseCa(certificate, privateKey);
    // The CA outlives APP_SECRET: encrypt its key again while the secret is being replaced.
    if (this.settings.previousAppSecret)
      await manager.update(
        CertificateAuthority,
        { name: CA_ROW, sealed },
        { sealed: this.box.seal(privateKey, CA_ROW) },
      );
  }

  /**
   * Verifies the certificate of a TLS handshake: its issuer, its purpose, its period of validity and the CRL.
   * @throws InvalidCertificate
   */
  verify(certificate: X509Certificate, now: Date): void {
    const { validFrom, validTo } = this.certificate;
    const ofCa = { notBefore: new Date(validFrom), notAfter: new Date(validTo) };
    if (validityPeriodFault(ofCa, now)) throw new InvalidCertificate('the CA is not valid at this time');
    const identity = verifyCertificate(certificate, this.certificate);
    const fault = validityPeriodFault(identity, now);
    if (fault) throw new InvalidCertificate(fault);
    if (now.getTime() >= this.crlCreatedAt + CRL_LIFETIME_MS)
      throw new InvalidCertificate('the revocation list is too old');
    if (this.revoked.has(identity.serial)) throw new InvalidCertificate('it was revoked');
  }

  /**
   * Issues a client certificate to an account.
   * @param notAfter is rounded down to the second, the precision of X.509
   * @returns the certificate in PEM, and the values of its row
   */
  async issueClientCertificate(
    account: Pick<User, 'id' | 'kind' | 'tenantId'>,
    publicKey: KeyObject,
    notAfter: Date,
  ) {
    const id = newSerialNumber();
    const createdAt = new Date();
    const expiresAt = new Date(Math.floor(notAfter.getTime() / 1000) * 1000);
    const certificate = await issueCertificate(this.ca, {
      serial: id,
      publicKey,
      usage: 'clientAuth',
      names: [spiffeIdOf(account)],
      notBefore: new Date(createdAt.getTime() - BACKDATE_MS),
      notAfter: expiresAt,
    });
    const fingerprint = certificateFingerprint(new X509Certificate(certificate));
    return { id, certificate, fingerprint, createdAt, expiresAt };
  }

  /** Issues the certificate of the TLS listener, in PEM. */
  issueServerCertificate(
    names: readonly string[],
    publicKey: KeyObject,
    now: Date,
    notAfter: Date,
  ): Promise<string> {
    return issueCertificate(this.ca, {
      serial: newSerialNumber(),
      publicKey,
      usage: 'serverAuth',
      names,
      notBefore: new Date(now.getTime() - BACKDATE_MS),
      notAfter,
    });
  }

  /**
   * Signs a new {@link crl} if a certificate was revoked since, or if the list is an hour old. Expired certificates
   * are left out.
   * @throws UnreadableValue instead of leaving out a certificate whose expiry cannot be decoded
   */
  async refreshCrl(now: number): Promise<void> {
    const found = await this.dataSource.manager.find(ClientCertificate, {
      select: { id: true, revokedAt: true, expiresAt: true },
      where: { revokedAt: Not(IsNull()) },
    });
    const rows = found.filter(({ expiresAt }) => expiresAt.getTime() > now);
    const isListed = rows.length === this.revoked.size && rows.every(({ id }) => this.revoked.has(id));
    if (isListed && now - this.crlCreatedAt < CRL_RENEWAL_MS) return;
    const revoked = rows.map(({ id, revokedAt }) => ({ serial: id, revocationDate: revokedAt! }));
    this.crl = await createCrl(
      this.ca,
      revoked,
      new Date(now - BACKDATE_MS),
      new Date(now + CRL_LIFETIME_MS),
    );
    this.revoked = new Set(rows.map(({ id }) => id));
    this.crlCreatedAt = now;
  }

  /** Processes that start at the same time create only one CA: the row's name is unique. */
  private async create(): Promise<void> {
    const { certificate, privateKey } = await createCa(new Date(Date.now() - BACKDATE_MS));
    await this.dataSource
      .createQueryBuilder()
      .insert()
      .into(CertificateAuthority)
      .values({ name: CA_ROW, certificate, sealed: this.box.seal(privateKey, CA_ROW) })
      .orIgnore()
      .execute();
  }
}
