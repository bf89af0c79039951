import type { DataSource } from 'typeorm';
import { networkOf } from '../config/network.js';
import {
  consumeAll,
  createCounter,
  rewardAll,
  withCounterConnection,
  type Counter,
  type CounterKey,
} from './counter.js';

/** Limits what a network, and all networks together, may do within a time. All processes share the counters. */
export class NetworkLimit {
  private readonly perNetwork: Counter;
  private readonly total: Counter;

  /** @param name separates the rows of different limits; the total has the same name with an `s` */
  constructor(
    private readonly dataSource: DataSource,
    name: string,
    points: { readonly perNetwork: number; readonly total: number },
    seconds: number,
  ) {
    this.perNetwork = createCounter(dataSource, name, points.perNetwork, seconds);
    this.total = createCounter(dataSource, `${name}s`, points.total, seconds);
  }

  /** @returns the seconds to wait if there were too many; undefined if there were not */
  async consume(ip: string): Promise<number | undefined> {
    const waitMs = await withCounterConnection(this.dataSource, () => consumeAll(this.keysOf(ip)));
    return waitMs === undefined ? undefined : Math.max(1, Math.ceil(waitMs / 1000));
  }

  /** Takes one counted attempt back. */
  async refund(ip: string): Promise<void> {
    await withCounterConnection(this.dataSource, () => rewardAll(this.keysOf(ip)));
  }

  private keysOf(ip: string): CounterKey[] {
    return [
      [this.perNetwork, networkOf(ip)],
      [this.total, 'all'],
    ];
  }
}
