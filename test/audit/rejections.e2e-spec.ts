import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { setTimeout } from 'node:timers/promises';
import { AuditEvent } from '../../src/audit/audit-event.entity.js';
import { AuditLog } from '../../src/audit/audit-log.service.js';
import { EventQueue } from '../../src/audit/event-queue.js';
import type { PendingEvent } from '../../src/audit/hash-chain.js';
import { MAX_EVENTS_PER_ADDRESS, RejectionCounts } from '../../src/audit/rejection-counts.js';
import { verifyChain } from '../../src/audit/verify-chain.js';
import { Settings } from '../../src/config/settings.js';
import { boot, client } from '../support/app.js';
import { startProcesses, type Processes } from '../support/processes.js';

const MINUTE = Date.UTC(2026, 10, 30, 12, 0);
const rejection = (ip: string | null, at = MINUTE, event: PendingEvent['event'] = 'authn_login_fail') =>
  ({ ip, at: new Date(at), event, details: {} }) as unknown as PendingEvent;
const unrecordedIn = (events: readonly Pick<PendingEvent, 'details'>[]) =>
  events.reduce((sum, { details }) => sum + Number(details['unrecorded'] ?? 0), 0);

describe('the rejected requests of one address', () => {
  /** @returns how many are stored one by one */
  const send = (counts: RejectionCounts, number: number, ...[ip, at, event]: Parameters<typeof rejection>) =>
    Array.from({ length: number }, () => counts.admit(rejection(ip, at, event))).filter(Boolean).length;

  it('are stored one by one up to a limit, and then counted by event in one event', () => {
    const counts = new RejectionCounts();
    expect(send(counts, 250, '192.0.2.1')).toBe(MAX_EVENTS_PER_ADDRESS);
    expect(send(counts, 3, '192.0.2.1', MINUTE + 59_999, 'authz_fail')).toBe(0);
    expect(counts.take()).toMatchObject([
      {
        event: 'excess_rate_limit_exceeded',
        ip: '192.0.2.1',
        userId: null,
        details: {
          unrecorded: 153,
          minute: '2026-11-30T12:00:00.000Z',
          events: { authn_login_fail: 150, authz_fail: 3 },
        },
      },
    ]);
    expect(counts.take()).toEqual([]);
  });

  it('are limited again in each minute, with one event for each', () => {
    const counts = new RejectionCounts();
    for (const minute of [0, 1]) expect(send(counts, 101, '192.0.2.1', MINUTE + minute * 60_000)).toBe(100);
    expect(counts.take().map(({ details }) => details['minute'])).toEqual([
      '2026-11-30T12:00:00.000Z',
      '2026-11-30T12:01:00.000Z',
    ]);
  });

  it('do not limit those of another address, and share the limit of an IPv6 /64', () => {
    const counts = new RejectionCounts();
    expect(send(counts, 101, '192.0.2.1')).toBe(100);
    expect(send(counts, 1, '192.0.2.2')).toBe(1);
    expect(send(counts, 60, '2001:db8::1') + send(counts, 60, '2001:db8::2')).toBe(100);
  });

  it('are counted in bounded memory for any number of addresses, and none is lost', () => {
    const counts = new RejectionCounts();
    let stored = 0;
    for (let i = 0; i < 5_000; i++) stored += send(counts, 101, `10.0.${i >> 8}.${i & 255}`);
    const events = counts.take();
    expect(events.length).toBeLessThanOrEqual(1_001);
    expect(stored + unrecordedIn(events)).toBe(5_000 * 101);
  });

  it('are stored at the end of the minute, or at a shutdown', async () => {
    const own = await boot();
    const origin = client(own.origin);
    await Promise.all(Array.from({ length: 300 }, () => origin.get('/me')));
    await own.app.get(AuditLog).flush();
    const events = await own.db.manager.find(AuditEvent);
    const single = events.filter(({ event }) => event === 'authn_login_fail');
    expect(single.length + unrecordedIn(events)).toBe(300);
    // Two minutes, if one begins meanwhile.
    expect(single.length).toBeLessThanOrEqual(2 * MAX_EVENTS_PER_ADDRESS);
    expect(events.filter(({ details }) => details['unrecorded'])).toContainEqual(
      expect.objectContaining({ ip: '127.0.0.1', event: 'excess_rate_limit_exceeded' }),
    );
    await own.close();
  });
});

describe('the queue of events', () => {
  afterEach(() => void jest.useRealTimers());
  const queueOf = (store: (events: readonly PendingEvent[]) => Promise<void>) => new EventQueue(store);

  it('stores the counts of a minute when the minute ends', async () => {
    jest.useFakeTimers({ now: MINUTE });
    const stored: PendingEvent[] = [];
    const queue = queueOf(async (events) => void stored.push(...events));
    for (let i = 0; i < MAX_EVENTS_PER_ADDRESS + 7; i++) queue.addRejection(rejection('192.0.2.1'));
    await jest.advanceTimersByTimeAsync(59_000);
    expect([stored.length, unrecordedIn(stored)]).toEqual([MAX_EVENTS_PER_ADDRESS, 0]);
    await jest.advanceTimersByTimeAsync(1_000);
    expect([stored.length, unrecordedIn(stored)]).toEqual([MAX_EVENTS_PER_ADDRESS + 1, 7]);
  });

  it('keeps every event and count while the database is unavailable, also at a shutdown', async () => {
    let available = false;
    const stored: PendingEvent[] = [];
    const queue = queueOf(async (events) => {
      if (!available) throw new Error('Connection terminated');
      stored.push(...events);
    });
    for (let i = 0; i < MAX_EVENTS_PER_ADDRESS + 7; i++) queue.addRejection(rejection('192.0.2.1'));
    await queue.flush();
    queue.add(rejection(null));
    const closed = queue.close();
    await setTimeout(200);
    available = true;
    await closed;
    expect([stored.length, unrecordedIn(stored)]).toEqual([MAX_EVENTS_PER_ADDRESS + 2, 7]);
  });
});

describe('SIGTERM under load', () => {
  let processes: Processes;
  beforeAll(async () => (processes = await startProcesses(1, { TRUST_PROXY: '127.0.0.1' })));
  afterAll(() => processes.stop());

  it('stores every rejected request that was answered', async () => {
    const answered: string[] = [];
    let stopped = false;
    const load = Array.from({ length: 20 }, async (_, worker) => {
      for (let i = 0; !stopped; i++) {
        const headers = { 'X-Forwarded-For': `10.${worker}.${(i >> 8) & 255}.${i & 255}` };
        const response = await fetch(`${processes.origins[0]}/me`, { headers }).catch(() => undefined);
        if (response?.status === 401) answered.push(response.headers.get('x-request-id')!);
        else stopped = true;
      }
    });
    while (answered.length < 500) await setTimeout(5);
    await processes.servers[0]!.stop('SIGTERM');
    await Promise.all(load);
    const events = await processes.db.manager.find(AuditEvent);
    const stored = new Set(events.map(({ requestId }) => requestId));
    const missing = answered.filter((id) => !stored.has(id)).length;
    expect(missing).toBeLessThanOrEqual(unrecordedIn(events));
    expect(await verifyChain(processes.db, Settings.from({ NODE_ENV: 'test' }))).toMatchObject({
      valid: true,
    });
  });
});
