import { Injectable } from '@nestjs/common';
import { DataSource, IsNull, LessThan } from 'typeorm';
import { HourlyCleanup } from '../database/hourly-cleanup.js';
import { ENDED } from './endings.js';
import { OauthRecord } from './record.entity.js';

/** Removes what has run out. */
@Injectable()
export class ServerSweep extends HourlyCleanup {
  constructor(private readonly dataSource: DataSource) {
    super();
  }

  async cleanUp(): Promise<void> {
    const ended = { sealed: ENDED, expiresAt: IsNull() };
    await this.dataSource.manager.delete(OauthRecord, [{ expiresAt: LessThan(new Date()) }, ended]);
  }
}
