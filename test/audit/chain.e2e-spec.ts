import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { AuditEvent, AuditHead } from '../../src/audit/audit-event.entity.js';
import { AuditLog } from '../../src/audit/audit-log.service.js';
import { purgeEvents } from '../../src/audit/purge-events.js';
import { verifyChain } from '../../src/audit/verify-chain.js';
import { Settings } from '../../src/config/settings.js';
import { boot, type Booted } from '../support/app.js';
import type { AuditEntry } from '../../src/authentication/ports.js';

const SECRET = 'the-secret-that-the-events-are-hashed-with';
const settings = (env: Record<string, string> = {}) =>
  Settings.from({ NODE_ENV: 'test', APP_SECRET: SECRET, ...env });
const entry = (more: Partial<AuditEntry> = {}): AuditEntry => ({
  event: 'sensitive_create',
  target: 'thing:1',
  ...more,
});

/** Each hash covers the previous event, so the chain breaks at the first event that was changed. */
describe('the hash chain', () => {
  let booted: Booted;
  let log: AuditLog;
  beforeAll(async () => {
    booted = await boot({ env: { APP_SECRET: SECRET } });
    log = booted.app.get(AuditLog);
  });
  afterAll(() => booted.close());
  beforeEach(async () => {
    await booted.db.manager.deleteAll(AuditEvent);
    await booted.db.manager.upsert(AuditHead, { id: 1, seq: 0, hash: '' }, ['id']);
  });

  const append = (...entries: AuditEntry[]) =>
    booted.db.transaction((manager) => log.append(manager, ...entries));
  const verify = (...[anchor, ours]: [Parameters<typeof verifyChain>[2]?, Settings?]) =>
    verifyChain(booted.db, ours ?? settings(), anchor);
  const all = () => booted.db.manager.find(AuditEvent, { order: { seq: 'ASC' } });
  const change = (seq: number, changes: Partial<AuditEvent>) =>
    booted.db.manager.update(AuditEvent, { seq }, changes as object);
  const headOf = async () => {
    const verdict = await verify();
    if (!verdict.valid) throw new Error(verdict.reason);
    return verdict.head;
  };
  const ten = () => append(...Array.from({ length: 10 }, (_, i) => entry({ target: `thing:${i + 1}` })));

  it('is valid for any number of events in one transaction', async () => {
    expect(await verify()).toEqual({ valid: true, events: 0, head: { seq: 0, hash: '' } });
    await append(...Array.from({ length: 1200 }, () => entry()));
    await append();
    expect(await verify()).toMatchObject({ valid: true, events: 1200, head: { seq: 1200 } });
  });

  it('is valid for all details that JSON can express', async () => {
    const details = {
      nested: { list: [1, 'two', null, { three: true }], 10: 'ten', 9: 'nine' },
      odd: '\u0000 \ud800 ☃ \u2028 "quoted" \\',
      numbers: [0.1, -0, 1e21, Number.NaN],
      moment: new Date(),
      nothing: undefined,
    };
    await append(entry({ details }), entry({ method: 'm'.repeat(40), target: 't'.repeat(120) }));
    expect(await verify()).toMatchObject({ valid: true, events: 2 });
    expect((await all())[0]!.details).toEqual(JSON.parse(JSON.stringify(details)));
  });

  it('is rolled back together with its transaction', async () => {
    await ten();
    const failing = booted.db.transaction(async (manager) => {
      await log.append(manager, entry());
      throw new Error('the change failed');
    });
    await expect(failing).rejects.toThrow('the change failed');
    expect(await verify()).toMatchObject({ valid: true, events: 10 });
  });

  describe('time', () => {
    afterEach(() => void jest.useRealTimers());

    it('numbers the events by one regardless of the clock, with times in UTC', async () => {
      const times = ['2026-03-29T00:59:59.999Z', '2001-01-01T00:00:00.000Z', '2026-10-25T01:30:00.001Z'];
      for (const time of times) {
        jest.useFakeTimers({ now: new Date(time), doNotFake: ['setImmediate', 'nextTick'] });
        await append(entry());
      }
      const events = await all();
      expect(events.map(({ seq }) => seq)).toEqual([1, 2, 3]);
      expect(events.map(({ at }) => at.toISOString())).toEqual(times);
      expect(await verify()).toMatchObject({ valid: true });
    });
  });

  describe('reports its first broken event', () => {
    beforeEach(ten);
    const altered = (brokenAt: number) => ({ valid: false, brokenAt, reason: 'it was altered' });

    it.each<[string, Partial<AuditEvent>]>([
      ['at', { at: new Date(0) }],
      ['event', { event: 'sensitive_read' }],
      ['userId', { userId: 'somebody-else' }],
      ['tenantId', { tenantId: 'globex' }],
      ['method', { method: 'basic' }],
      ['credentialId', { credentialId: 'another' }],
      ['ip', { ip: '203.0.113.1' }],
      ['requestId', { requestId: 'another' }],
      ['target', { target: 'thing:11' }],
      ['details', { details: { more: true } }],
    ])('if the field %s was altered', async (_, changes) => {
      await change(4, changes);
      expect(await verify()).toEqual(altered(4));
    });

    it('if a hash was altered', async () => {
      const hash = (await all())[6]!.hash.replace(/^./, (first) => (first === 'a' ? 'b' : 'a'));
      await change(7, { hash });
      expect(await verify()).toEqual(altered(7));
    });

    it('if an event in the middle was deleted, even if the later ones were renumbered', async () => {
      await booted.db.manager.delete(AuditEvent, { seq: 5 });
      expect(await verify()).toEqual({ valid: false, brokenAt: 5, reason: 'it is missing' });
      for (let seq = 6; seq <= 10; seq++) await change(seq, { seq: seq - 1 });
      expect(await verify()).toEqual(altered(5));
    });

    it('if the last events were deleted', async () => {
      await booted.db.sql`DELETE FROM audit_events WHERE seq > 8`;
      const reason = 'it is missing, with all later events';
      expect(await verify()).toEqual({ valid: false, brokenAt: 9, reason });
    });

    it('if all events were deleted', async () => {
      await booted.db.manager.deleteAll(AuditEvent);
      expect(await verify()).toMatchObject({ valid: false, brokenAt: 1 });
    });

    it('if the head was altered or deleted', async () => {
      const head = (changes: Partial<AuditHead>) => booted.db.manager.update(AuditHead, { id: 1 }, changes);
      const { hash } = await headOf();
      await head({ hash: 'x'.repeat(43) });
      expect(await verify()).toEqual({
        valid: false,
        brokenAt: 10,
        reason: 'it is not the head of the chain',
      });
      await head({ hash: (await all())[7]!.hash, seq: 8 });
      expect(await verify()).toEqual({
        valid: false,
        brokenAt: 9,
        reason: 'it lies beyond the head of the chain',
      });
      await head({ hash, seq: 12 });
      expect(await verify()).toMatchObject({ valid: false, brokenAt: 11 });
      await booted.db.manager.deleteAll(AuditHead);
      expect(await verify()).toEqual({
        valid: false,
        brokenAt: 11,
        reason: 'the head of the chain is missing',
      });
    });

    it('if two events were swapped', async () => {
      await change(3, { seq: 0 });
      await change(4, { seq: 3 });
      await change(0, { seq: 4 });
      expect(await verify()).toEqual(altered(3));
    });

    it('if an event was inserted beyond the head', async () => {
      await booted.db.manager.insert(AuditEvent, { ...(await all())[9]!, seq: 11 } as object);
      expect(await verify()).toMatchObject({ valid: false, brokenAt: 11 });
    });

    it.each([0, -1, -(2 ** 40)])(
      'if an event was inserted before the first, with the number %i',
      async (seq) => {
        await booted.db.manager.insert(AuditEvent, { ...(await all())[9]!, seq } as object);
        const reason = 'it lies before the start of the chain';
        expect(await verify()).toEqual({ valid: false, brokenAt: seq, reason });
      },
    );

    it.each([
      ['a number that another event has', 10],
      ['no number', null],
    ])('if an event was inserted with %s', async (_, seq) => {
      const columns = booted.db
        .getMetadata(AuditEvent)
        .columns.map(({ databaseName }) => `"${databaseName}"`);
      const copied = columns.filter((name) => name !== '"seq"').join(', ');
      // A database owner can remove the primary key.
      await booted.db.query('ALTER TABLE audit_events RENAME TO audit_events_away');
      await booted.db.query(`CREATE TABLE audit_events AS SELECT * FROM audit_events_away`);
      await booted.db.query(
        `INSERT INTO audit_events (seq, ${copied}) SELECT ${seq}, ${copied} FROM audit_events WHERE seq = 10`,
      );
      const verification = await verify();
      await booted.db.query('DROP TABLE audit_events');
      await booted.db.query('ALTER TABLE audit_events_away RENAME TO audit_events');
      const reason = 'an event up to it has no number of its own';
      expect(verification).toEqual({ valid: false, brokenAt: 10, reason });
    });

    if (!process.env['DATABASE_URL'])
      it.each([
        ['text', "'a'", 10],
        ['a fraction', '4.5', 5],
        ['bytes', "x'00'", 10],
      ])('if the number of the last event became %s', async (_, seq, brokenAt) => {
        await booted.db.query(`UPDATE audit_events SET seq = ${seq} WHERE seq = 10`);
        expect(await verify()).toMatchObject({ valid: false, brokenAt });
      });

    it.each([
      ['details', 'no JSON'],
      ['details', 'null'],
      ['at', process.env['DATABASE_URL'] ? 'infinity' : 'yesterday'],
    ])('if the field %s cannot be decoded: %s', async (column, value) => {
      const parameter = booted.db.driver.createParameter('value', 0);
      await booted.db.query(`UPDATE audit_events SET "${column}" = ${parameter} WHERE seq = 7`, [value]);
      expect(await verify()).toEqual({ valid: false, brokenAt: 7, reason: 'it cannot be read' });
    });

    it('if the chain was rebuilt without the secret', async () => {
      const forger = new AuditLog(
        booted.db,
        settings({ APP_SECRET: 'a-secret-that-the-forger-has-chosen-himself' }),
      );
      const keyId = (await all())[0]!.keyId;
      await booted.db.sql`DELETE FROM audit_events WHERE seq > 5`;
      const [{ seq, hash }] = (await all()).slice(-1) as [AuditEvent];
      await booted.db.manager.update(AuditHead, { id: 1 }, { seq, hash });
      await booted.db.transaction((manager) => forger.append(manager, entry(), entry()));
      expect(await verify()).toEqual({
        valid: false,
        brokenAt: 6,
        reason: 'its key comes from an APP_SECRET that is no longer set',
      });
      await change(6, { keyId });
      expect(await verify()).toEqual(altered(6));
    });
  });

  describe('an anchor: an earlier head, stored elsewhere', () => {
    it('is part of a valid chain', async () => {
      await ten();
      const anchor = await headOf();
      await ten();
      expect(await verify(anchor)).toMatchObject({ valid: true, events: 20 });
    });

    it('shows that the whole database was restored from an earlier state', async () => {
      await ten();
      const back = await headOf();
      await ten();
      const anchor = await headOf();
      await booted.db.sql`DELETE FROM audit_events WHERE seq > 10`;
      await booted.db.manager.update(AuditHead, { id: 1 }, back);
      expect(await verify()).toMatchObject({ valid: true, events: 10 });
      const reason = 'it is missing: the anchor lies beyond the head';
      expect(await verify(anchor)).toEqual({ valid: false, brokenAt: 11, reason });
    });

    it('shows that the chain was truncated and continued', async () => {
      await ten();
      const anchor = await headOf();
      await booted.db.sql`DELETE FROM audit_events WHERE seq > 9`;
      await booted.db.manager.update(AuditHead, { id: 1 }, { seq: 9, hash: (await all())[8]!.hash });
      await append(entry({ target: 'another thing' }));
      const reason = 'its hash differs from the anchor';
      expect(await verify(anchor)).toEqual({ valid: false, brokenAt: 10, reason });
    });
  });

  it('continues after a change of APP_SECRET while the previous one is set', async () => {
    const next = 'the-secret-that-comes-after-the-first-one';
    await ten();
    const rotated = settings({ APP_SECRET: next, APP_SECRET_PREVIOUS: SECRET });
    await booted.db.transaction((manager) => new AuditLog(booted.db, rotated).append(manager, entry()));
    expect(await verify(undefined, rotated)).toMatchObject({ valid: true, events: 11 });
    expect(await verify(undefined, settings({ APP_SECRET: next }))).toEqual({
      valid: false,
      brokenAt: 1,
      reason: 'its key comes from an APP_SECRET that is no longer set',
    });
  });

  describe('a purge', () => {
    const day = (date: number) => new Date(Date.UTC(2026, 0, date));
    /** One event a day, from the 1st to the 10th of January. */
    beforeEach(async () => {
      const one = { event: 'sensitive_create', details: {}, requestId: null, ip: null } as const;
      const withoutCaller = { userId: null, tenantId: null, method: null, credentialId: null };
      await booted.db.transaction((manager) =>
        log.write(
          manager,
          Array.from({ length: 10 }, (_, i) => ({
            ...one,
            ...withoutCaller,
            at: day(i + 1),
            target: `thing:${i + 1}`,
          })),
        ),
      );
    });
    const purge = (before: Date) => purgeEvents(booted.db, settings(), before);

    it('leaves a valid chain with an event that names the last deleted one', async () => {
      const { hash } = (await all())[3]!;
      expect(await purge(day(5))).toEqual({ seq: 4, hash });
      const events = await all();
      expect(events[0]!.at).toEqual(day(5));
      expect(events.at(-1)).toMatchObject({
        seq: 11,
        event: 'sensitive_delete',
        target: 'audit:4',
        details: { seq: 4, hash },
      });
      expect(await verify()).toMatchObject({ valid: true, events: 7, head: { seq: 11 } });
      expect(await verify({ seq: 4, hash })).toMatchObject({ valid: true });
      expect(await verify({ seq: 4, hash: 'x'.repeat(43) })).toMatchObject({ valid: false, brokenAt: 4 });
    });

    it('can be repeated up to the last event', async () => {
      await purge(day(5));
      expect(await purge(day(5))).toBeUndefined();
      await purge(day(8));
      await append(entry());
      expect(await verify()).toMatchObject({ valid: true, events: 6 });
      await purge(new Date(Date.now() + 60_000));
      expect(await verify()).toMatchObject({ valid: true, events: 1 });
    });

    it('deletes no recent event after a wrong clock', async () => {
      const log = new AuditLog(booted.db, settings());
      const [event] = (await all()).slice(-1) as [AuditEvent];
      await booted.db.transaction((manager) => log.write(manager, [{ ...event, at: day(1) }]));
      expect(await purge(day(5))).toMatchObject({ seq: 4 });
      expect(await verify()).toMatchObject({ valid: true });
    });

    it('is required: a chain that was truncated at its start is invalid', async () => {
      await booted.db.sql`DELETE FROM audit_events WHERE seq < 4`;
      const reason = 'the events before the first are missing, and no purge names them';
      expect(await verify()).toEqual({ valid: false, brokenAt: 1, reason });
    });

    it.each(['without a number', 'with a number that is no integer', 'with another number', 'with no hash'])(
      'is not accepted from an event %s, even if that names the hash of the head',
      async (what) => {
        const { seq, hash } = await headOf();
        await booted.db.sql`DELETE FROM audit_events WHERE seq < ${seq}`;
        const details = {
          'without a number': { hash },
          'with a number that is no integer': { seq: 'x', hash },
          'with another number': { seq, hash },
          'with no hash': { seq: seq - 1, hash: null },
        }[what]!;
        await change(seq, { event: 'sensitive_delete', target: `audit:${seq - 1}`, details });
        const reason = 'the events before the first are missing, and no purge names them';
        expect(await verify()).toEqual({ valid: false, brokenAt: 1, reason });
      },
    );

    it('is not accepted from an event that cannot be read', async () => {
      await purge(day(5));
      await booted.db.sql`UPDATE audit_events SET details = ${'no JSON'} WHERE seq = 11`;
      expect(await verify()).toMatchObject({ valid: false, brokenAt: 1 });
    });

    it('does not cover events that were deleted beyond it', async () => {
      await purge(day(5));
      const { hash } = (await all())[1]!;
      await booted.db.sql`DELETE FROM audit_events WHERE seq < 7`;
      expect(await verify()).toMatchObject({ valid: false, brokenAt: 1 });
      await change(11, { target: 'audit:6', details: { seq: 6, hash } });
      expect(await verify()).toEqual({ valid: false, brokenAt: 11, reason: 'it was altered' });
    });
  });
});
