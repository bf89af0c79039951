import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ReplayStore, UsedValue } from '../../src/crypto/replay-store.service.js';
import { boot, type Booted } from '../support/app.js';

const LATER = new Date(Date.now() + 60_000);

describe('what may be used once', () => {
  let booted: Booted;
  let processes: ReplayStore[];
  beforeAll(async () => {
    booted = await boot();
    // Each has its own memory: they meet in the database only, as two processes do.
    processes = [booted.app.get(ReplayStore, { strict: false }), new ReplayStore(booted.db)];
  });
  afterAll(() => booted.close());

  const use = (value: string, purpose = 'nonce', process = 0) =>
    processes[process]!.use(purpose, value, LATER);

  it('is good the first time and never again, in whichever process', async () => {
    expect(await use('a')).toBe(true);
    expect(await use('a')).toBe(false);
    expect(await use('a', 'nonce', 1)).toBe(false);
  });

  it('is another thing for another purpose, however the two texts are cut', async () => {
    expect(await use('b')).toBe(true);
    expect(await use('b', 'token')).toBe(true);
    expect(await use('nonceb', '')).toBe(true);
    expect(await use('', 'nonceb')).toBe(true);
  });

  it('of many who use it in the same moment, one does', async () => {
    for (let round = 0; round < 50; round++) {
      const uses = Array.from({ length: 20 }, (_, i) => use(`c${round}`, 'nonce', i % 2));
      expect((await Promise.all(uses)).filter(Boolean)).toEqual([true]);
    }
  });

  it('those of one moment go to the database together, and each learns of its own', async () => {
    await use('d1');
    const values = ['d1', ...Array.from({ length: 2_500 }, (_, i) => `d${i + 2}`)];
    const firsts = await Promise.all(values.map((value) => use(value)));
    expect(firsts.map((first, i) => [i, first])).toEqual(values.map((_, i) => [i, i > 0]));
  });

  it('is forgotten once it would be refused anyway, and not before', async () => {
    const [past, future] = [Date.now() - 5_000, Date.now() + 5_000];
    await processes[0]!.use('sweep', 'past', new Date(past));
    await processes[0]!.use('sweep', 'future', new Date(future));
    await processes[0]!.cleanUp();
    expect(await processes[0]!.use('sweep', 'past', new Date(future))).toBe(true);
    expect(await processes[0]!.use('sweep', 'future', new Date(future))).toBe(false);
  });

  it('keeps nothing that says what was used', async () => {
    await use('a value that nobody should read');
    const rows = await booted.db.manager.find(UsedValue);
    expect(JSON.stringify(rows)).not.toContain('nobody should read');
    for (const { digest } of rows) expect(digest).toMatch(/^[\w-]{43}$/);
  });

  it('HMAC-04: where the store is down, nothing is used: 503', async () => {
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
