import { Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';

const HOUR = 60 * 60_000;

/** Removes rows that nobody needs any more, every hour that the process lives. A sweep that fails is logged; the next one does its work. */
@Injectable()
export abstract class HourlyCleanup implements OnApplicationBootstrap, OnModuleDestroy {
  protected readonly logger = new Logger(this.constructor.name);
  private sweeping: NodeJS.Timeout | undefined;

  abstract cleanUp(): Promise<void>;

  onApplicationBootstrap(): void {
    this.sweeping = setInterval(() => {
      this.cleanUp().catch((error: unknown) => this.logger.error(error));
    }, HOUR).unref();
  }

  onModuleDestroy(): void {
    clearInterval(this.sweeping);
  }
}
