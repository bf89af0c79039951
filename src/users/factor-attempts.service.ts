import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import {
  consumeAll,
  createCounter,
  rewardAll,
  withCounterConnection,
  type CounterKey,
} from '../rate-limits/counter.js';
import { TooManyAttempts } from '../rate-limits/too-many-attempts.js';

const MINUTE_SECONDS = 60;
const DAY_SECONDS = 24 * 60 * MINUTE_SECONDS;

/**
 * Limits the wrong second factors of an account, in the database: across sign-ins, factors and processes. A guessed code of six
 * digits in three time steps then succeeds with a probability below 1 in 16,000 a day.
 */
@Injectable()
export class FactorAttempts {
  private readonly counters: readonly CounterKey[0][];

  constructor(private readonly dataSource: DataSource) {
    this.counters = [
      createCounter(dataSource, 'factor', 5, 15 * MINUTE_SECONDS),
      createCounter(dataSource, 'factor-day', 20, DAY_SECONDS),
    ];
  }

  /**
   * Counts an attempt, runs `verify`, and takes the count back if it succeeds. Counting first stops guesses that are sent at the
   * same time.
   * @throws TooManyAttempts
   */
  async count<T>(accountId: string, verify: () => Promise<T>): Promise<T> {
    const keys = this.counters.map((counter): CounterKey => [counter, accountId]);
    const waitMs = await withCounterConnection(this.dataSource, () => consumeAll(keys));
    if (waitMs !== undefined) throw new TooManyAttempts(waitMs);
    const result = await verify();
    await withCounterConnection(this.dataSource, () => rewardAll(keys));
    return result;
  }
}
