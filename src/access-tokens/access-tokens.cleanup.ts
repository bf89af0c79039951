import { Injectable } from '@nestjs/common';
import { DataSource, LessThan } from 'typeorm';
import { HourlyCleanup } from '../database/hourly-cleanup.js';
import { AccessToken } from './access-token.entity.js';

/** Removes tokens that have run out. */
@Injectable()
export class AccessTokensCleanup extends HourlyCleanup {
  constructor(private readonly dataSource: DataSource) {
    super();
  }

  async cleanUp(): Promise<void> {
    await this.dataSource.manager.delete(AccessToken, { expiresAt: LessThan(new Date()) });
  }
}
