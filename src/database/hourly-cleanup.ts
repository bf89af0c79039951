import { Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';

const INTERVAL_MS = 60 * 60_000;

/** Deletes obsolete rows every hour. A failure is logged, and the next run tries again. */
@Injectable()
export abstract class HourlyCleanup implements OnApplicationBootstrap, OnModuleDestroy {
  protected readonly logger = new Logger(this.constructor.name);
  private timer: NodeJS.Timeout | undefined;

  abstract cleanUp(): Promise<void>;

  onApplicationBootstrap(): void {
    this.timer = setInterval(() => {
      this.cleanUp().catch((error: unknown) => this.logger.error(error));
    }, INTERVAL_MS).unref();
  }

  onModuleDestroy(): void {
    clearInterval(this.timer);
  }
}
