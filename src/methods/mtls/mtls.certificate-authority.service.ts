import { Injectable } from '@nestjs/common';
import { X509Certificate, type KeyObject } from 'node:crypto';
import { DataSource } from 'typeorm';
import { Settings } from '../../config/settings.js';
import { SecretBox } from '../../crypto/secret-box.js';
import type { User } from '../../users/user.entity.js';
import type { Revoked } from './mtls.crl.js';
import { CertificateAuthority } from './mtls.entity.js';
import { fingerprintOf, nameOf } from './mtls.js';
import { issue, newAuthority, newSerial, openAuthority, writeCrl, type Signer } from './mtls.x509.js';

const NAME = 'mtls';
/** For clocks that are behind this one. */
const BACKDATED = 5 * 60_000;

/** The private CA, in the database, so that all processes have the same; its key is sealed. */
@Injectable()
export class Authority {
  private signer!: Signer;
  private readonly box: SecretBox;

  constructor(
    private readonly dataSource: DataSource,
    private readonly settings: Settings,
  ) {
    this.box = new SecretBox(settings, 'mtls authority');
  }

  /** Its own certificate. */
  get certificate(): X509Certificate {
    return this.signer.certificate;
  }

  /**
   * Opens the CA, or makes it. The listener does, once everything that may refuse to start has had its say.
   * @throws Error where its key was sealed with a secret that is no longer set
   */
  async load(): Promise<void> {
    const { manager } = this.dataSource;
    if (!(await manager.existsBy(CertificateAuthority, { name: NAME }))) await this.make();
    const { certificate, sealed } = await manager.findOneByOrFail(CertificateAuthority, { name: NAME });
    const privateKey = this.box.open(sealed, NAME);
    this.signer = openAuthority(certificate, privateKey);
    // It outlives APP_SECRET: while that is being changed, the key is sealed anew.
    if (this.settings.previousAppSecret)
      await manager.update(
        CertificateAuthority,
        { name: NAME, sealed },
        { sealed: this.box.seal(privateKey, NAME) },
      );
  }

  /**
   * A certificate for an account.
   * @param notAfter is cut to the second, as certificates have it
   */
  async issueToClient(account: Pick<User, 'id' | 'kind' | 'tenantId'>, publicKey: KeyObject, notAfter: Date) {
    const id = newSerial();
    const createdAt = new Date();
    const expiresAt = new Date(Math.floor(notAfter.getTime() / 1000) * 1000);
    const certificate = await issue(this.signer, {
      serial: id,
      publicKey,
      usage: 'clientAuth',
      names: [nameOf(account)],
      notBefore: new Date(createdAt.getTime() - BACKDATED),
      notAfter: expiresAt,
    });
    return {
      id,
      certificate,
      fingerprint: fingerprintOf(new X509Certificate(certificate)),
      createdAt,
      expiresAt,
    };
  }

  issueToServer(names: readonly string[], publicKey: KeyObject, now: Date, notAfter: Date): Promise<string> {
    const notBefore = new Date(now.getTime() - BACKDATED);
    return issue(this.signer, {
      serial: newSerial(),
      publicKey,
      usage: 'serverAuth',
      names,
      notBefore,
      notAfter,
    });
  }

  writeCrl(revoked: readonly Revoked[], now: Date, nextUpdate: Date): Promise<string> {
    return writeCrl(this.signer, revoked, new Date(now.getTime() - BACKDATED), nextUpdate);
  }

  /** Two processes that start at once make one: the name is unique. */
  private async make(): Promise<void> {
    const { certificate, privateKey } = await newAuthority(new Date(Date.now() - BACKDATED));
    await this.dataSource
      .createQueryBuilder()
      .insert()
      .into(CertificateAuthority)
      .values({ name: NAME, certificate, sealed: this.box.seal(privateKey, NAME) })
      .orIgnore()
      .execute();
  }
}
