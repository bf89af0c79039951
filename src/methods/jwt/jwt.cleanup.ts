import { Injectable } from '@nestjs/common';
import { DataSource, LessThan } from 'typeorm';
import { HourlyCleanup } from '../../database/hourly-cleanup.js';
import { TokenFamily } from './jwt.entity.js';

const DAY = 24 * 60 * 60_000;

/** Removes families that have been over for a day, with all their refresh tokens. */
@Injectable()
export class JwtSweep extends HourlyCleanup {
  constructor(private readonly dataSource: DataSource) {
    super();
  }

  async cleanUp(): Promise<void> {
    const aDayAgo = LessThan(new Date(Date.now() - DAY));
    await this.dataSource.manager.delete(TokenFamily, [{ expiresAt: aDayAgo }, { revokedAt: aDayAgo }]);
  }
}
