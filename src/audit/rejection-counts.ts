import { LRUCache } from 'lru-cache';
import { networkOf } from '../config/network.js';
import type { PendingEvent } from './hash-chain.js';

const MINUTE_MS = 60_000;
/** The rejected requests of an address in a minute that are stored one by one. */
export const MAX_EVENTS_PER_ADDRESS = 100;
/** More addresses than this share one count, and the one that was seen longest ago may store events again. */
const MAX_ADDRESSES = 1_000;

interface Count {
  /** Null if several addresses share the count. */
  readonly ip: string | null;
  readonly minute: number;
  requests: number;
  readonly byEvent: Record<string, number>;
}

/**
 * Limits the rejected requests of an address (or an IPv6 /64) that are stored one by one. Further ones are counted, and one event
 * per address and minute has their number, so that one client fills neither the audit log nor memory.
 */
export class RejectionCounts {
  private minute = 0;
  private readonly stored = new LRUCache<string, number>({ max: MAX_ADDRESSES });
  private readonly counts = new Map<string, Count>();

  /** @returns whether the event is to be stored; otherwise it is counted */
  admit(event: PendingEvent): boolean {
    if (event.ip === null) return true;
    const minute = Math.floor(event.at.getTime() / MINUTE_MS);
    if (minute !== this.minute) this.stored.clear();
    this.minute = minute;
    const network = networkOf(event.ip);
    const stored = (this.stored.get(network) ?? 0) + 1;
    this.stored.set(network, stored);
    if (stored <= MAX_EVENTS_PER_ADDRESS) return true;
    const count =
      this.countOf(`${minute} ${network}`, event.ip) ?? this.countOf(`${minute}`, null, Infinity)!;
    count.requests++;
    count.byEvent[event.event] = (count.byEvent[event.event] ?? 0) + 1;
    return false;
  }

  /** The counts so far, as events. Counting starts again. */
  take(): PendingEvent[] {
    const counts = [...this.counts.values()];
    this.counts.clear();
    return counts.map(({ ip, minute, requests, byEvent }) => ({
      at: new Date(),
      event: 'excess_rate_limit_exceeded',
      ip,
      details: { unrecorded: requests, minute: new Date(minute * MINUTE_MS).toISOString(), events: byEvent },
      userId: null,
      tenantId: null,
      method: null,
      credentialId: null,
      requestId: null,
      target: null,
    }));
  }

  /** @returns undefined if there are too many counts for another */
  private countOf(key: string, ip: string | null, limit = MAX_ADDRESSES): Count | undefined {
    const known = this.counts.get(key);
    if (known || this.counts.size >= limit) return known;
    const count = { ip, minute: this.minute, requests: 0, byEvent: {} };
    this.counts.set(key, count);
    return count;
  }
}

/** The time until the current minute ends, and its counts are complete. */
export const untilNextMinute = (): number => MINUTE_MS - (Date.now() % MINUTE_MS);
