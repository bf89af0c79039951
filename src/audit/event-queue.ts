import { Logger } from '@nestjs/common';
import { setTimeout as delay } from 'node:timers/promises';
import type { PendingEvent } from './hash-chain.js';
import { RejectionCounts, untilNextMinute } from './rejection-counts.js';

/** Further events are only counted, so that a flood of requests fills neither memory nor disk. */
const MAX_WAITING_EVENTS = 500;
const BATCH_INTERVAL_MS = 500;
/** At shutdown, an unavailable database has this long to come back. */
const CLOSE_TIMEOUT_MS = 3_000;
const CLOSE_RETRY_MS = 100;

/** Stores events in batches, so that no response waits for them. The next batch also records the number of dropped events. */
export class EventQueue {
  private readonly logger = new Logger('Audit');
  private readonly rejections = new RejectionCounts();
  private waiting: PendingEvent[] = [];
  private dropped = 0;
  private timer: NodeJS.Timeout | undefined;
  private minuteTimer: NodeJS.Timeout | undefined;
  private writing: Promise<void> = Promise.resolve();
  private closed = false;

  /** @param store stores a batch in one transaction, with the number of events dropped since the last one */
  constructor(private readonly store: (events: readonly PendingEvent[], dropped: number) => Promise<void>) {}

  add(event: PendingEvent): void {
    if (this.waiting.length < MAX_WAITING_EVENTS) this.waiting.push(event);
    else this.dropped++;
    this.startTimer();
  }

  /** Adds the event of a rejected request, or counts it: {@link RejectionCounts}. */
  addRejection(event: PendingEvent): void {
    if (this.rejections.admit(event)) this.add(event);
    else if (!this.closed) this.minuteTimer ??= setTimeout(() => void this.flush(), untilNextMinute());
  }

  /** Stores the waiting events and the counts. If that fails, they wait for the next batch. */
  flush(): Promise<void> {
    clearTimeout(this.minuteTimer);
    this.minuteTimer = undefined;
    this.waiting.unshift(...this.rejections.take());
    return this.writeSoon();
  }

  /** Stores everything. Call it after the last request, because each rejected one adds an event. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    const deadline = performance.now() + CLOSE_TIMEOUT_MS;
    await this.flush();
    while (this.waiting.length && performance.now() < deadline) {
      await delay(CLOSE_RETRY_MS);
      await this.flush();
    }
    const lost = this.waiting.reduce((sum, event) => sum + requestsOf(event), this.dropped);
    if (lost) this.logger.error({ event: 'audit events lost', count: lost });
  }

  private startTimer(): void {
    if (!this.closed) this.timer ??= setTimeout(() => void this.writeSoon(), BATCH_INTERVAL_MS);
  }

  private writeSoon(): Promise<void> {
    clearTimeout(this.timer);
    this.timer = undefined;
    return (this.writing = this.writing.then(() => this.writeBatch()));
  }

  private async writeBatch(): Promise<void> {
    const [batch, dropped] = [this.waiting, this.dropped];
    if (!batch.length) return;
    [this.waiting, this.dropped] = [[], 0];
    try {
      await this.store(batch, dropped);
    } catch (error) {
      this.logger.error(error);
      const all = [...batch, ...this.waiting];
      this.waiting = all.slice(0, MAX_WAITING_EVENTS);
      const excess = all.slice(MAX_WAITING_EVENTS);
      this.dropped += excess.reduce((sum, event) => sum + requestsOf(event), dropped);
      this.startTimer();
    }
  }
}

/** The number of requests that an event stands for. */
const requestsOf = ({ details }: PendingEvent): number => Number(details['unrecorded'] ?? 1);
