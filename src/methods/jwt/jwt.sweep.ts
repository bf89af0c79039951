import { Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { DataSource, LessThan } from 'typeorm';
import { TokenFamily } from './jwt.entity.js';

const HOUR = 60 * 60_000;
const DAY = 24 * HOUR;

/** Removes families that have been over for a day, with all their refresh tokens. */
@Injectable()
export class JwtSweep implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger(JwtSweep.name);
  private sweeping: NodeJS.Timeout | undefined;

  constructor(private readonly dataSource: DataSource) {}

  onApplicationBootstrap(): void {
    this.sweeping = setInterval(() => {
      this.sweep().catch((error: unknown) => this.logger.error(error));
    }, HOUR).unref();
  }

  onModuleDestroy(): void {
    clearInterval(this.sweeping);
  }

  async sweep(): Promise<void> {
    const aDayAgo = LessThan(new Date(Date.now() - DAY));
    await this.dataSource.manager.delete(TokenFamily, [{ expiresAt: aDayAgo }, { revokedAt: aDayAgo }]);
  }
}
