import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { consumeAll, createCounter, rewardAll, withCounterConnection } from '../../rate-limits/counter.js';
import type { Counter, CounterKey } from '../../rate-limits/counter.js';
import { NetworkLimit } from '../../rate-limits/network-limit.js';
import { TooManyAttempts } from '../../rate-limits/too-many-attempts.js';

const WINDOW_SECONDS = 15 * 60;
const DAY_SECONDS = 24 * 60 * 60;

/** Requests send mails to people who may not want them. */
const MAX_REQUESTS = { perNetwork: 20, total: 2_000 };
const MAX_REQUESTS_PER_MAILBOX = 5;
const MAX_REQUESTS_PER_MAILBOX_AND_DAY = 20;

/** Twenty guesses a day find a code of six digits with a probability of 1 in 50,000. */
const MAX_GUESSES = { perNetwork: 50, total: 2_000 };
const MAX_GUESSES_PER_MAILBOX = 10;
const MAX_GUESSES_PER_MAILBOX_AND_DAY = 20;

/**
 * Limits requests and wrong codes, in the database and so across all processes. The counters belong to an address, not to an account, so
 * they are the same for an address that no account has. New codes do not reset them.
 */
@Injectable()
export class MagicLinkLimits {
  private readonly requests: NetworkLimit;
  private readonly guesses: NetworkLimit;
  private readonly requestsPerMailbox: readonly Counter[];
  private readonly guessesPerMailbox: readonly Counter[];

  constructor(private readonly dataSource: DataSource) {
    const counters = (name: string, ...[quarter, day]: readonly [number, number]) => [
      createCounter(dataSource, name, quarter, WINDOW_SECONDS),
      createCounter(dataSource, `${name}-day`, day, DAY_SECONDS),
    ];
    this.requests = new NetworkLimit(dataSource, 'magic-link request', MAX_REQUESTS, WINDOW_SECONDS);
    this.guesses = new NetworkLimit(dataSource, 'magic-link guess', MAX_GUESSES, WINDOW_SECONDS);
    this.requestsPerMailbox = counters(
      'magic-link mailbox',
      MAX_REQUESTS_PER_MAILBOX,
      MAX_REQUESTS_PER_MAILBOX_AND_DAY,
    );
    this.guessesPerMailbox = counters(
      'magic-link code',
      MAX_GUESSES_PER_MAILBOX,
      MAX_GUESSES_PER_MAILBOX_AND_DAY,
    );
  }

  /** @throws TooManyAttempts */
  async countRequest(ip: string, mailbox: string): Promise<void> {
    await this.consume(this.requests, ip, keysOf(this.requestsPerMailbox, mailbox));
  }

  /**
   * Counts a guess, runs `verify`, and takes the count back if it succeeds. Counting first stops guesses that are sent at the same
   * time.
   * @throws TooManyAttempts
   */
  async countGuess<T>(ip: string, mailbox: string, verify: () => Promise<T>): Promise<T> {
    const keys = keysOf(this.guessesPerMailbox, mailbox);
    await this.consume(this.guesses, ip, keys);
    const result = await verify();
    await this.guesses.refund(ip);
    await withCounterConnection(this.dataSource, () => rewardAll(keys));
    return result;
  }

  /** The network comes first: a blocked network must not use up the attempts of a mailbox. */
  private async consume(limit: NetworkLimit, ip: string, keys: readonly CounterKey[]): Promise<void> {
    const seconds = await limit.consume(ip);
    if (seconds !== undefined) throw new TooManyAttempts(seconds * 1000);
    const waitMs = await withCounterConnection(this.dataSource, () => consumeAll(keys));
    if (waitMs !== undefined) throw new TooManyAttempts(waitMs);
  }
}

const keysOf = (counters: readonly Counter[], mailbox: string): CounterKey[] =>
  counters.map((counter) => [counter, mailbox]);
