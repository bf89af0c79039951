import { Injectable } from '@nestjs/common';
import { errors } from 'oidc-provider';
import { DataSource } from 'typeorm';
import {
  consumeAll,
  createCounter,
  rewardAll,
  withCounterConnection,
  type Counter,
} from '../../rate-limits/counter.js';
import { networkOf } from '../../rate-limits/network.js';

/** Wrong codes in a quarter of an hour: from one network, and from all of them together. */
const PER_NETWORK = 20;
const IN_ALL = 2_000;
const WINDOW_SECONDS = 15 * 60;

/** 429, on the page where codes are typed in. */
export class TooManyCodes extends errors.CustomOIDCProviderError {
  constructor(readonly retryAfter: number) {
    super('too_many_attempts', 'there were too many wrong codes');
    this.status = this.statusCode = 429;
  }
}

/**
 * Counts wrong guesses at the codes that people type in (RFC 8628, section 5.1), in the database, so that all processes
 * count together. With 20^8 codes, 2000 guesses in the lifetime of a thousand live ones hit one in 13,000 such windows.
 */
@Injectable()
export class CodeGuesses {
  private readonly networks: Counter;
  private readonly all: Counter;

  constructor(private readonly dataSource: DataSource) {
    this.networks = createCounter(dataSource, 'device code', PER_NETWORK, WINDOW_SECONDS);
    this.all = createCounter(dataSource, 'device codes', IN_ALL, WINDOW_SECONDS);
  }

  /**
   * Looks a code up. Counted before, and given back where there was one: guesses sent at the same moment do not slip through.
   * @throws TooManyCodes
   */
  async guess<Found>(ip: string, look: () => Promise<Found | undefined>): Promise<Found | undefined> {
    const counters = [
      [this.networks, networkOf(ip)],
      [this.all, 'all'],
    ] as const;
    const waitMs = await withCounterConnection(this.dataSource, () => consumeAll(counters));
    if (waitMs !== undefined) throw new TooManyCodes(Math.max(1, Math.ceil(waitMs / 1000)));
    const found = await look();
    if (found) await withCounterConnection(this.dataSource, () => rewardAll(counters));
    return found;
  }
}
