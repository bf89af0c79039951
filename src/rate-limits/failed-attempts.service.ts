import { Injectable, Logger, type OnModuleDestroy } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { DataSource } from 'typeorm';
import { Unauthenticated } from '../authentication/challenge.js';
import type { RejectionListener } from '../authentication/ports.js';
import { Settings } from '../config/settings.js';
import { createCounter, withCounterConnection, type Counter } from './counter.js';
import { cachedNetworkOf, TooManyRequests } from './rate-limits.service.js';

const MINUTE_SECONDS = 60;
const FLUSH_AFTER_MS = 1_000;
/** How many addresses are written at once; what is left waits for the next time. */
const BATCH = 500;
const REMEMBERED = 10_000;

/** The wrong credentials from one address, in the minute that ends at `until`. */
interface Tally {
  /** What the database knew, of all processes, when it was last told. */
  known: number;
  /** What it is being told. */
  sending: number;
  /** What it was not told yet. */
  unsent: number;
  until: number;
}

/**
 * Counts wrong credentials for each address, whatever the method: guessing keys and tokens ends here. A request with
 * a good credential costs no more than a look into memory.
 *
 * A failure counts here at once, and in the database within a second, many at a time. The database answers with what
 * all processes have counted, so an attacker gains nothing from there being several, but for the first second of each.
 */
@Injectable()
export class FailedAttempts implements RejectionListener, OnModuleDestroy {
  private readonly logger = new Logger(FailedAttempts.name);
  private readonly counter: Counter;
  private readonly limit: number;
  private readonly unsent = new Set<string>();
  private readonly tallies = new LRUCache<string, Tally>({
    max: REMEMBERED,
    dispose: (_, address) => void this.unsent.delete(address),
  });
  private timer: NodeJS.Timeout | undefined;
  private flushing = Promise.resolve();
  private closed = false;

  constructor(
    private readonly dataSource: DataSource,
    { rateLimits }: Settings,
  ) {
    this.limit = rateLimits.badCredentials;
    this.counter = createCounter(dataSource, 'credentials', this.limit, MINUTE_SECONDS);
  }

  async onModuleDestroy(): Promise<void> {
    this.closed = true;
    await this.flush();
  }

  /** Counts what a request was refused with, where that is a credential which was sent and is wrong. */
  rejected(ip: string, error: unknown): void {
    if (!(error instanceof Unauthenticated && error.refusal)) return;
    const address = cachedNetworkOf(ip);
    let tally = this.tallies.get(address);
    if (!tally || tally.until <= Date.now()) {
      tally = { known: 0, sending: 0, unsent: 0, until: Date.now() + MINUTE_SECONDS * 1000 };
      this.tallies.set(address, tally);
    }
    tally.unsent++;
    this.unsent.add(address);
    this.flushSoon();
  }

  /** @throws TooManyRequests where the address has sent too many wrong credentials */
  rejectIfOverLimit(address: string): void {
    const tally = this.tallies.get(address);
    if (!tally || tally.known + tally.sending + tally.unsent <= this.limit) return;
    const left = tally.until - Date.now();
    if (left > 0) throw new TooManyRequests('bad credentials', left);
  }

  /** Tells the database, and learns what it knows. Where it does not answer, tries again later. */
  flush(): Promise<void> {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.flushing = this.flushing.then(() => this.send());
    return this.flushing;
  }

  private flushSoon(): void {
    if (this.timer || this.closed) return;
    this.timer = setTimeout(() => void this.flush(), FLUSH_AFTER_MS).unref();
  }

  private async send(): Promise<void> {
    const batch = [...this.unsent].slice(0, BATCH).map((address) => {
      this.unsent.delete(address);
      const tally = this.tallies.peek(address)!;
      tally.sending = tally.unsent;
      tally.unsent = 0;
      return { address, tally };
    });
    if (!batch.length) return;
    try {
      const totals = await withCounterConnection(this.dataSource, async () => {
        const found = [];
        for (const { address, tally } of batch)
          found.push(await this.counter.penalty(address, tally.sending));
        return found;
      });
      batch.forEach(({ tally }, i) => {
        const { consumedPoints, msBeforeNext } = totals[i]!;
        Object.assign(tally, { known: consumedPoints, sending: 0, until: Date.now() + msBeforeNext });
      });
    } catch (error) {
      this.logger.warn({ event: 'failures not counted', type: (error as Error).name });
      for (const { address, tally } of batch) {
        tally.unsent += tally.sending;
        tally.sending = 0;
        if (this.tallies.peek(address) === tally) this.unsent.add(address);
      }
    }
    if (this.unsent.size) this.flushSoon();
  }
}
