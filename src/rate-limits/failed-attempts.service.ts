import { Injectable, Logger, type OnModuleDestroy } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { DataSource } from 'typeorm';
import { Unauthenticated } from '../authentication/challenge.js';
import { Settings } from '../config/settings.js';
import { createCounter, withCounterConnection, type Counter } from './counter.js';
import { networkOf } from '../config/network.js';
import { TooManyRequests } from './rate-limits.service.js';
import { RejectedRequests, type RejectionListener } from '../authentication/ports.js';

const WINDOW_SECONDS = 60;
const FLUSH_DELAY_MS = 1_000;
/** Addresses stored at once. The others wait for the next flush. */
const MAX_ADDRESSES_PER_FLUSH = 500;
const MAX_TRACKED_ADDRESSES = 10_000;

/** The wrong credentials from one address in the current window. */
interface AttemptCount {
  /** The count of all processes, as of the last flush. */
  stored: number;
  /** The part that is being stored. */
  storing: number;
  /** The part that is not stored yet. */
  unsaved: number;
  /** The end of the window, in milliseconds since 1970. */
  until: number;
}

/**
 * Counts wrong credentials per address for every method, and so limits guessing. A valid credential costs one look-up
 * in memory. Counts are stored within a second, in batches, and each flush reads the counts of the other processes.
 * Extra processes allow at most one extra second of requests each.
 */
@Injectable()
export class FailedAttempts implements RejectionListener, OnModuleDestroy {
  private readonly logger = new Logger(FailedAttempts.name);
  private readonly counter: Counter;
  private readonly limit: number;
  private readonly unsavedAddresses = new Set<string>();
  private readonly counts = new LRUCache<string, AttemptCount>({
    max: MAX_TRACKED_ADDRESSES,
    dispose: (_, address) => void this.unsavedAddresses.delete(address),
  });
  private timer: NodeJS.Timeout | undefined;
  private flushing = Promise.resolve();
  private closed = false;

  constructor(
    private readonly dataSource: DataSource,
    { rateLimits }: Settings,
    rejectedRequests: RejectedRequests,
  ) {
    this.limit = rateLimits.badCredentials;
    this.counter = createCounter(dataSource, 'credentials', this.limit, WINDOW_SECONDS);
    rejectedRequests.subscribe(this);
  }

  async onModuleDestroy(): Promise<void> {
    this.closed = true;
    await this.flush();
  }

  /** Counts the request if it carried a wrong credential. */
  rejected(ip: string, error: unknown): void {
    if (!(error instanceof Unauthenticated && error.rejectedCredential)) return;
    const address = networkOf(ip);
    let count = this.counts.get(address);
    if (!count || count.until <= Date.now()) {
      count = { stored: 0, storing: 0, unsaved: 0, until: Date.now() + WINDOW_SECONDS * 1000 };
      this.counts.set(address, count);
    }
    count.unsaved++;
    this.unsavedAddresses.add(address);
    this.flushSoon();
  }

  /** @throws TooManyRequests if the address has sent too many wrong credentials */
  rejectIfOverLimit(address: string): void {
    const count = this.counts.get(address);
    if (!count || count.stored + count.storing + count.unsaved <= this.limit) return;
    const remainingMs = count.until - Date.now();
    if (remainingMs > 0) throw new TooManyRequests('bad credentials', remainingMs);
  }

  /** Stores the counts and reads those of all processes. Tries again later if the database does not respond. */
  flush(): Promise<void> {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.flushing = this.flushing.then(() => this.storeCounts());
    return this.flushing;
  }

  private flushSoon(): void {
    if (this.timer || this.closed) return;
    this.timer = setTimeout(() => void this.flush(), FLUSH_DELAY_MS).unref();
  }

  private async storeCounts(): Promise<void> {
    const batch = [...this.unsavedAddresses].slice(0, MAX_ADDRESSES_PER_FLUSH).map((address) => {
      this.unsavedAddresses.delete(address);
      const count = this.counts.peek(address)!;
      count.storing = count.unsaved;
      count.unsaved = 0;
      return { address, count };
    });
    if (!batch.length) return;
    try {
      const totals = await withCounterConnection(this.dataSource, async () => {
        const stored = [];
        for (const { address, count } of batch)
          stored.push(await this.counter.penalty(address, count.storing));
        return stored;
      });
      batch.forEach(({ count }, i) => {
        const { consumedPoints, msBeforeNext } = totals[i]!;
        // A stored count without a readable expiry has none: it limits the address for a whole window.
        const remainingMs = msBeforeNext >= 0 ? msBeforeNext : WINDOW_SECONDS * 1000;
        Object.assign(count, { stored: consumedPoints, storing: 0, until: Date.now() + remainingMs });
      });
    } catch (error) {
      this.logger.warn({ event: 'failed attempts not stored', type: (error as Error).name });
      for (const { address, count } of batch) {
        count.unsaved += count.storing;
        count.storing = 0;
        if (this.counts.peek(address) === count) this.unsavedAddresses.add(address);
      }
    }
    if (this.unsavedAddresses.size) this.flushSoon();
  }
}
