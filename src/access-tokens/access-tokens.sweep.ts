import { Injectable } from '@nestjs/common';
import { DataSource, LessThan } from 'typeorm';
import { HourlySweep } from '../database/index.js';
import { AccessToken } from './access-token.entity.js';

/** Removes tokens that have run out. */
@Injectable()
export class AccessTokensSweep extends HourlySweep {
  constructor(private readonly dataSource: DataSource) {
    super();
  }

  async sweep(): Promise<void> {
    await this.dataSource.manager.delete(AccessToken, { expiresAt: LessThan(new Date()) });
  }
}
