import { Injectable } from '@nestjs/common';
import { DataSource, LessThan } from 'typeorm';
import { HourlyCleanup } from '../../database/hourly-cleanup.js';
import { ClientCertificate } from './mtls.entity.js';

const DAY = 24 * 60 * 60_000;

/** Removes certificates that expired a day ago: what nobody can use any more needs no row to refuse it. */
@Injectable()
export class MtlsSweep extends HourlyCleanup {
  constructor(private readonly dataSource: DataSource) {
    super();
  }

  async cleanUp(): Promise<void> {
    await this.dataSource.manager.delete(ClientCertificate, {
      expiresAt: LessThan(new Date(Date.now() - DAY)),
    });
  }
}
