import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ReplayStore, UsedValue } from '../../src/crypto/replay-store.service.js';
import { boot, type Booted } from '../support/app.js';

const LATER = new Date(Date.now() + 60_000);

describe('the replay store', () => {
  let booted: Booted;
  let processes: ReplayStore[];
  beforeAll(async () => {
    booted = await boot();
    // Two instances share the database only, as two processes do.
    processes = [booted.app.get(ReplayStore, { strict: false }), new ReplayStore(booted.db)];
  });
  afterAll(() => booted.close());

  const use = (value: string, purpose = 'nonce', process = 0) =>
    processes[process]!.use(purpose, value, LATER);

  it('accepts a value once, across processes', async () => {
    expect(await use('a')).toBe(true);
    expect(await use('a')).toBe(false);
    expect(await use('a', 'nonce', 1)).toBe(false);
  });

  it('keeps the values of different purposes apart', async () => {
    expect(await use('b')).toBe(true);
    expect(await use('b', 'token')).toBe(true);
    expect(await use('nonceb', '')).toBe(true);
    expect(await use('', 'nonceb')).toBe(true);
  });

  it('accepts one of many concurrent uses of a value', async () => {
    for (let round = 0; round < 50; round++) {
      const uses = Array.from({ length: 20 }, (_, i) => use(`c${round}`, 'nonce', i % 2));
      expect((await Promise.all(uses)).filter(Boolean)).toEqual([true]);
    }
  });

  it('writes concurrent uses together and resolves each with its own result', async () => {
    await use('d1');
    const values = ['d1', ...Array.from({ length: 2_500 }, (_, i) => `d${i + 2}`)];
    const firsts = await Promise.all(values.map((value) => use(value)));
    expect(firsts.map((first, i) => [i, first])).toEqual(values.map((_, i) => [i, i > 0]));
  });

  it('keeps a value for five minutes after it expired, because the clocks of processes differ', async () => {
    const [past, future] = [Date.now() - 305_000, Date.now() - 295_000];
    await processes[0]!.use('cleanup', 'past', new Date(past));
    await processes[0]!.use('cleanup', 'future', new Date(future));
    await processes[0]!.cleanUp();
    expect(await processes[0]!.use('cleanup', 'past', new Date(future))).toBe(true);
    expect(await processes[0]!.use('cleanup', 'future', new Date(future))).toBe(false);
  });

  it('stores a digest, not the value', async () => {
    await use('a value that nobody should read');
    const rows = await booted.db.manager.find(UsedValue);
    expect(JSON.stringify(rows)).not.toContain('nobody should read');
    for (const { digest } of rows) expect(digest).toMatch(/^[\w-]{43}$/);
  });

  it('responds 503 and accepts nothing while the database fails', async () => {
    await booted.db.query('ALTER TABLE used_once RENAME TO gone');
    const uses = await Promise.allSettled([use('e'), use('f')]);
    expect(uses).toEqual([
      { status: 'rejected', reason: expect.objectContaining({ status: 503 }) },
      { status: 'rejected', reason: expect.objectContaining({ status: 503 }) },
    ]);
    await booted.db.query('ALTER TABLE gone RENAME TO used_once');
    expect(await use('e')).toBe(true);
  });
});
