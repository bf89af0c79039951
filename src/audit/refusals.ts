import { Injectable, Logger, type BeforeApplicationShutdown } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { AuditLog, occurred, type Entry, type Occurrence } from './audit-log.js';

/** How many are kept for the next batch; what comes beyond is counted, and only that. */
const MOST = 500;
const BATCH_EVERY_MS = 500;

/**
 * Refused requests, written in batches: an answer does not wait for them, and a flood can fill neither the memory
 * nor the disk. What a flood forces out is counted, and the count is in the chain.
 */
@Injectable()
export class Refusals implements BeforeApplicationShutdown {
  private readonly logger = new Logger(Refusals.name);
  private readonly written = new WeakSet<Error>();
  private waiting: Occurrence[] = [];
  private forcedOut = 0;
  private timer: NodeJS.Timeout | undefined;
  private writing: Promise<void> = Promise.resolve();
  private closed = false;

  constructor(
    private readonly dataSource: DataSource,
    private readonly log: AuditLog,
  ) {}

  add(entry: Entry): void {
    if (this.waiting.length < MOST) this.waiting.push(occurred(entry));
    else this.forcedOut++;
    this.flushSoon();
  }

  /**
   * The refusal of a sign-in does wait for its event: the attempt is no ordinary request.
   * @param error what will be thrown, so that it is not written twice
   */
  async writeNow(error: Error, entry: Entry): Promise<void> {
    await this.log.record(entry);
    this.written.add(error);
  }

  isWritten(error: Error): boolean {
    return this.written.has(error);
  }

  /** Writes what is waiting. Where that fails, it waits on for the next batch. */
  flush(): Promise<void> {
    clearTimeout(this.timer);
    this.timer = undefined;
    return (this.writing = this.writing.then(() => this.writeBatch()));
  }

  /** From here on nothing waits: the requests that still finish are the last, and the database closes behind them. */
  async beforeApplicationShutdown(): Promise<void> {
    this.closed = true;
    await this.flush();
  }

  private flushSoon(): void {
    if (this.closed) void this.flush();
    else this.timer ??= setTimeout(() => void this.flush(), BATCH_EVERY_MS);
  }

  private async writeBatch(): Promise<void> {
    const [batch, forcedOut] = [this.waiting, this.forcedOut];
    if (!batch.length) return;
    [this.waiting, this.forcedOut] = [[], 0];
    const count = occurred({ event: 'excess_rate_limit_exceeded', details: { unrecorded: forcedOut } });
    try {
      await this.dataSource.transaction((manager) =>
        this.log.write(manager, forcedOut ? [...batch, count] : batch),
      );
    } catch (error) {
      this.logger.error(error);
      const kept = [...batch, ...this.waiting];
      this.waiting = kept.slice(0, MOST);
      this.forcedOut += forcedOut + kept.length - this.waiting.length;
      if (!this.closed) this.flushSoon();
    }
  }
}
