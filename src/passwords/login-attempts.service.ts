import { Injectable } from '@nestjs/common';
import { createHmac, type KeyObject } from 'node:crypto';
import { DataSource, LessThan, type EntityManager } from 'typeorm';
import { Settings } from '../config/settings.js';
import { deriveKey } from '../crypto/derived-keys.js';
import { HourlyCleanup } from '../database/hourly-cleanup.js';
import {
  consumeAll,
  createCounter,
  fullFor,
  rewardAll,
  withCounterConnection,
  type Counter,
} from '../rate-limits/counter.js';
import { networkOf } from '../config/network.js';
import { KnownAddress } from './password.entity.js';
import { TooManyAttempts } from '../rate-limits/too-many-attempts.js';

const MAX_FAILURES_PER_ACCOUNT = 10;
const MAX_FAILURES_PER_ADDRESS = 50;
const WINDOW_SECONDS = 15 * 60;
const DAY_MS = 24 * 60 * 60_000;
const KNOWN_ADDRESS_LIFETIME_MS = 30 * DAY_MS;

/** A sign-in attempt, ready to be counted. */
export interface LoginAttempt {
  readonly userId: string;
  /** The network of the client's address, as {@link networkOf} writes it. */
  readonly network: string;
  /** The keys of the two counters. */
  readonly accountKey: string;
  readonly addressKey: string;
}

/** `stale`: the credential was correct, but expired or already used. */
export type AttemptOutcome = 'success' | 'stale' | 'failure';

/** Counts failed sign-in attempts per account and per address, in the database and so across all processes. */
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
    this.accounts = createCounter(dataSource, 'account', MAX_FAILURES_PER_ACCOUNT, WINDOW_SECONDS);
    this.addresses = createCounter(dataSource, 'address', MAX_FAILURES_PER_ADDRESS, WINDOW_SECONDS);
  }

  /**
   * Starts an attempt. Each address that an account is known to use has its own counter for that account. All other
   * addresses share one, so more addresses give an attacker no more attempts. An unknown username is counted like any other.
   *
   * It only reads, so on SQLite it runs outside a transaction: only these counters write their table.
   *
   * @param userId the account's id, or an empty string for an unknown username: the same queries run for both
   * @throws TooManyAttempts if a counter is full
   */
  async open(username: string, userId: string, ip: string): Promise<LoginAttempt> {
    const network = networkOf(ip);
    const known = await this.dataSource.manager.findOneBy(KnownAddress, { userId, address: network });
    const isKnown = known !== null && known.seenAt.getTime() > Date.now() - KNOWN_ADDRESS_LIFETIME_MS;
    const attempt = {
      userId,
      network,
      accountKey: isKnown ? this.mac('pair', username, network) : this.mac('name', username),
      addressKey: this.mac('address', network),
    };
    for (const counter of this.countersOf(attempt)) {
      const waitMs = await fullFor(counter);
      if (waitMs !== undefined) throw new TooManyAttempts(waitMs);
    }
    return attempt;
  }

  /**
   * Counts an attempt as failed, runs `verify`, and takes the count back unless the outcome is a failure. Counting
   * first stops guesses that are sent at the same time. After a success the address is known for this account.
   *
   * @param verify checks the credential; if it throws, the attempt stays counted
   * @throws TooManyAttempts if a counter is full
   */
  async count(attempt: LoginAttempt, verify: () => Promise<AttemptOutcome>): Promise<AttemptOutcome> {
    const counters = this.countersOf(attempt);
    const waitMs = await withCounterConnection(this.dataSource, () => consumeAll(counters));
    if (waitMs !== undefined) throw new TooManyAttempts(waitMs);
    const outcome = await verify();
    if (outcome === 'failure') return outcome;
    await withCounterConnection(this.dataSource, async (manager) => {
      await rewardAll(counters);
      if (outcome === 'success') await this.rememberAddress(manager, attempt);
    });
    return outcome;
  }

  /** Deletes expired counters and addresses. */
  async cleanUp(): Promise<void> {
    await withCounterConnection(this.dataSource, async (manager) => {
      await manager.sql`DELETE FROM login_failures WHERE expire < ${Date.now()}`;
      await manager.delete(KnownAddress, {
        seenAt: LessThan(new Date(Date.now() - KNOWN_ADDRESS_LIFETIME_MS)),
      });
    });
  }

  /** Writes at most once a day. */
  private async rememberAddress(
    manager: EntityManager,
    { userId, network: address }: LoginAttempt,
  ): Promise<void> {
    const known = await manager.findOneBy(KnownAddress, { userId, address });
    if (known && known.seenAt.getTime() >= Date.now() - DAY_MS) return;
    await manager.upsert(KnownAddress, { userId, address, seenAt: new Date() }, ['userId', 'address']);
  }

  /** The address comes first: a blocked address must not use up the attempts of an account. */
  private countersOf({ addressKey, accountKey }: LoginAttempt) {
    return [
      [this.addresses, addressKey],
      [this.accounts, accountKey],
    ] as const;
  }

  /** People sometimes type their password as the username, so the table stores a MAC of it. */
  private mac(...parts: readonly string[]): string {
    const mac = createHmac('sha256', this.key);
    for (const part of parts) mac.update(`${Buffer.byteLength(part)}:`).update(part);
    return mac.digest('base64url');
  }
}
