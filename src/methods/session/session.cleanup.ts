import { Injectable } from '@nestjs/common';
import { DataSource, LessThan } from 'typeorm';
import { HourlyCleanup } from '../../database/hourly-cleanup.js';
import { Session } from './session.entity.js';

const DAY = 24 * 60 * 60_000;

/** Removes sessions that have been over for a day. */
@Injectable()
export class SessionSweep extends HourlyCleanup {
  constructor(private readonly dataSource: DataSource) {
    super();
  }

  async cleanUp(): Promise<void> {
    const aDayAgo = LessThan(new Date(Date.now() - DAY));
    await this.dataSource.manager.delete(Session, [{ expiresAt: aDayAgo }, { revokedAt: aDayAgo }]);
  }
}
