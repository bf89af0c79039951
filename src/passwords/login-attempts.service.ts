import { Injectable } from '@nestjs/common';
import { createHmac, type KeyObject } from 'node:crypto';
import { RateLimiterRes } from 'rate-limiter-flexible';
import { DataSource, LessThan } from 'typeorm';
import { Settings } from '../config/settings.js';
import { deriveKey } from '../crypto/derived-keys.js';
import { HourlyCleanup } from '../database/hourly-cleanup.js';
import { KnownAddress } from './known-address.entity.js';
import { TooManyAttempts } from './passwords.errors.js';
import { createCounter, withCounterConnection, type Counter } from '../rate-limits/counter.js';

/** In a quarter of an hour. */
const PER_ACCOUNT = 10;
const PER_ADDRESS = 50;
const WINDOW_SECONDS = 15 * 60;
const DAY = 24 * 60 * 60_000;
const KNOWN_FOR = 30 * DAY;

/** One attempt to sign in, and the two counters that it goes by. */
export interface LoginAttempt {
  readonly account: string;
  readonly address: string;
}

/**
 * Counts failed attempts in the database, so that all processes count together.
 *
 * An attempt is counted before the password is looked at and given back when it was right: guesses sent at the same
 * moment cannot all slip through before the first of them is counted.
 */
@Injectable()
export class LoginAttempts extends HourlyCleanup {
  private readonly key: KeyObject;
  private readonly accounts: Counter;
  private readonly addresses: Counter;

  constructor(
    private readonly dataSource: DataSource,
    settings: Settings,
  ) {
    super();
    this.key = deriveKey(settings.appSecret, 'passwords/attempts');
    this.accounts = createCounter(dataSource, 'account', PER_ACCOUNT, WINDOW_SECONDS);
    this.addresses = createCounter(dataSource, 'address', PER_ADDRESS, WINDOW_SECONDS);
  }

  /**
   * What to count an attempt by. Addresses that an account is known to sign in from have a counter of their own
   * for it; all others share one, so an attacker gains nothing by having many. A name that nobody has counts like
   * any other.
   *
   * @param userId the account's id, or an empty string where there is none: the same work is done for it
   */
  async of(username: string, userId: string, address: string): Promise<LoginAttempt> {
    const known = await this.dataSource.manager.findOneBy(KnownAddress, { userId, address });
    const isKnown = known !== null && known.seenAt.getTime() > Date.now() - KNOWN_FOR;
    return {
      account: isKnown ? this.mac('pair', username, address) : this.mac('name', username),
      address: this.mac('address', address),
    };
  }

  /**
   * Only reads, so on SQLite it needs no turn: nobody but these counters writes their table.
   * @throws TooManyAttempts where a counter is full already
   */
  async refuseIfFull(attempt: LoginAttempt): Promise<void> {
    for (const [counter, key] of this.counters(attempt)) {
      const state = await counter.get(key);
      if (state && state.consumedPoints >= counter.points) throw new TooManyAttempts(state.msBeforeNext);
    }
  }

  /** @throws TooManyAttempts where this attempt is one too many */
  async count(attempt: LoginAttempt): Promise<void> {
    const full = await withCounterConnection(this.dataSource, async () => {
      for (const [counter, key] of this.counters(attempt)) {
        const state = await counter.consume(key).catch(resultOf);
        if (state.consumedPoints > counter.points) return state;
      }
      return undefined;
    });
    if (full) throw new TooManyAttempts(full.msBeforeNext);
  }

  /** The password was right, and nobody was let in: that was no guess, and no sign-in. */
  async takeBack(attempt: LoginAttempt): Promise<void> {
    await withCounterConnection(this.dataSource, () => this.reward(attempt));
  }

  /** The password was right: takes the count back, and remembers the address, at most once a day. */
  async succeeded(attempt: LoginAttempt, userId: string, address: string): Promise<void> {
    await withCounterConnection(this.dataSource, async (manager) => {
      await this.reward(attempt);
      const known = await manager.findOneBy(KnownAddress, { userId, address });
      if (!known || known.seenAt.getTime() < Date.now() - DAY)
        await manager.upsert(KnownAddress, { userId, address, seenAt: new Date() }, ['userId', 'address']);
    });
  }

  /** Removes what no longer counts. */
  async cleanUp(): Promise<void> {
    await withCounterConnection(this.dataSource, async (manager) => {
      await manager.sql`DELETE FROM login_failures WHERE expire < ${Date.now()}`;
      await manager.delete(KnownAddress, { seenAt: LessThan(new Date(Date.now() - KNOWN_FOR)) });
    });
  }

  private async reward(attempt: LoginAttempt): Promise<void> {
    for (const [counter, key] of this.counters(attempt)) await counter.reward(key);
  }

  private counters({ address, account }: LoginAttempt) {
    // The address first: one that is refused must not be able to use up an account's attempts.
    return [
      [this.addresses, address],
      [this.accounts, account],
    ] as const;
  }

  /** What people type as a username is now and then their password: the table holds no name that can be read. */
  private mac(...parts: readonly string[]): string {
    const mac = createHmac('sha256', this.key);
    for (const part of parts) mac.update(`${Buffer.byteLength(part)}:`).update(part);
    return mac.digest('base64url');
  }
}

/** `consume` rejects with the counter's state where it is over the limit, and with an Error where the database failed. */
function resultOf(rejected: unknown): RateLimiterRes {
  if (rejected instanceof RateLimiterRes) return rejected;
  throw rejected;
}
