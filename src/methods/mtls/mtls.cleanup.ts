import { Injectable } from '@nestjs/common';
import { DataSource, LessThan } from 'typeorm';
import { HourlyCleanup } from '../../database/hourly-cleanup.js';
import { ClientCertificate } from './mtls.entity.js';

const DAY_MS = 24 * 60 * 60_000;

/** Deletes the rows of certificates that expired more than a day ago. */
@Injectable()
export class MtlsCleanup extends HourlyCleanup {
  constructor(private readonly dataSource: DataSource) {
    super();
  }

  async cleanUp(): Promise<void> {
    await this.dataSource.manager.delete(ClientCertificate, {
      expiresAt: LessThan(new Date(Date.now() - DAY_MS)),
    });
  }
}
