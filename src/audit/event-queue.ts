import { Logger } from '@nestjs/common';
import type { PendingEvent } from './hash-chain.js';

/** Further events are only counted, so that a flood of requests fills neither memory nor disk. */
const MAX_WAITING_EVENTS = 500;
const BATCH_INTERVAL_MS = 500;

/** Stores events in batches, so that no response waits for them. The next batch also records the number of dropped events. */
export class EventQueue {
  private readonly logger = new Logger('Audit');
  private waiting: PendingEvent[] = [];
  private dropped = 0;
  private timer: NodeJS.Timeout | undefined;
  private writing: Promise<void> = Promise.resolve();
  private closed = false;

  /** @param store stores a batch in one transaction, with the number of events dropped since the last one */
  constructor(private readonly store: (events: readonly PendingEvent[], dropped: number) => Promise<void>) {}

  add(event: PendingEvent): void {
    if (this.waiting.length < MAX_WAITING_EVENTS) this.waiting.push(event);
    else this.dropped++;
    this.flushSoon();
  }

  /** Stores the waiting events. If that fails, they wait for the next batch. */
  flush(): Promise<void> {
    clearTimeout(this.timer);
    this.timer = undefined;
    return (this.writing = this.writing.then(() => this.writeBatch()));
  }

  /** Stores the waiting events. Later events are stored at once: the last requests of a shutdown still add some. */
  async close(): Promise<void> {
    this.closed = true;
    await this.flush();
  }

  private flushSoon(): void {
    if (this.closed) void this.flush();
    else this.timer ??= setTimeout(() => void this.flush(), BATCH_INTERVAL_MS);
  }

  private async writeBatch(): Promise<void> {
    const [batch, dropped] = [this.waiting, this.dropped];
    if (!batch.length) return;
    [this.waiting, this.dropped] = [[], 0];
    try {
      await this.store(batch, dropped);
    } catch (error) {
      this.logger.error(error);
      const kept = [...batch, ...this.waiting];
      this.waiting = kept.slice(0, MAX_WAITING_EVENTS);
      this.dropped += dropped + kept.length - this.waiting.length;
      if (!this.closed) this.flushSoon();
    }
  }
}
