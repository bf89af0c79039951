import { Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { DataSource, LessThan } from 'typeorm';
import { Session } from './session.entity.js';

const HOUR = 60 * 60_000;
const DAY = 24 * HOUR;

/** Removes sessions that have been over for a day. */
@Injectable()
export class SessionSweep implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger(SessionSweep.name);
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
    await this.dataSource.manager.delete(Session, [{ expiresAt: aDayAgo }, { revokedAt: aDayAgo }]);
  }
}
