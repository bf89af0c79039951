import { Injectable } from '@nestjs/common';
import { DataSource, IsNull, MoreThan, Not } from 'typeorm';
import { Authority } from './mtls.certificate-authority.service.js';
import { ClientCertificate } from './mtls.entity.js';

const HOUR = 60 * 60_000;
/** Without news for this long the list is out of date, and TLS lets no certificate in. */
const GOOD_FOR = 24 * HOUR;

/** The certificate revocation list. A certificate leaves it when it would have expired anyway. */
@Injectable()
export class Revocations {
  /** PEM. */
  crl = '';
  private listed = '';
  private madeAt = 0;

  constructor(
    private readonly dataSource: DataSource,
    private readonly authority: Authority,
  ) {}

  /** Makes the list anew where something was revoked since, or an hour has passed. */
  async load(now: number): Promise<void> {
    const rows = await this.dataSource.manager.find(ClientCertificate, {
      select: { id: true, revokedAt: true },
      where: { revokedAt: Not(IsNull()), expiresAt: MoreThan(new Date(now)) },
      order: { id: 'ASC' },
    });
    const listed = rows.map(({ id }) => id).join();
    if (listed === this.listed && now - this.madeAt < HOUR) return;
    const revoked = rows.map(({ id, revokedAt }) => ({ serial: id, at: revokedAt! }));
    this.crl = await this.authority.writeCrl(revoked, new Date(now), new Date(now + GOOD_FOR));
    [this.listed, this.madeAt] = [listed, now];
  }
}
