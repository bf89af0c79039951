import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataSource } from 'typeorm';
import { createApp } from '../../src/app.js';
import { DEMO_PASSWORD } from '../../src/users/users.demo.js';
import { LoginAttempts } from '../../src/passwords/login-attempts.service.js';
import { PasswordHashing } from '../../src/passwords/password-hashing.service.js';
import { KnownAddress, Password } from '../../src/passwords/password.entity.js';
import { PasswordsService } from '../../src/passwords/passwords.service.js';
import { VerifiedPasswords } from '../../src/passwords/verified-passwords.js';
import { User } from '../../src/users/user.entity.js';
import { boot, withEnvironment, type Booted } from '../support/app.js';
import { networkOf } from '../../src/config/network.js';

const DAY = 24 * 60 * 60_000;

describe('passwords', () => {
  let booted: Booted;
  let here: PasswordsService;
  /** A second process on the same database. */
  let there: Awaited<ReturnType<typeof createApp>>;
  const folder = mkdtempSync(join(tmpdir(), 'atlas-'));

  beforeAll(async () => {
    booted = await boot({ env: { DATA_DIR: folder } });
    here = booted.app.get(PasswordsService);
    there = await withEnvironment(booted.env, async () => (await createApp()).init());
  });
  afterAll(async () => {
    await there.close();
    await booted.close();
    rmSync(folder, { recursive: true });
  });

  afterEach(() => void jest.useRealTimers());

  const fails = async () => 'failure' as const;
  const rows = () => booted.db.sql<{ key: string; points: number }[]>`SELECT key, points FROM login_failures`;

  it('stores argon2id hashes with the parameters of OWASP, each with its own salt', async () => {
    const stored = await booted.db.manager.find(Password);
    expect(stored.map(({ userId }) => userId).sort()).toEqual(['alice', 'bob', 'carol', 'dave', 'mallory']);
    for (const { hash } of stored) expect(hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
    expect(new Set(stored.map(({ hash }) => hash)).size).toBe(stored.length);
  });

  it('rejects the old password as soon as another process has changed it', async () => {
    expect((await here.verify('carol', DEMO_PASSWORD, '192.0.2.1')).id).toBe('carol');
    const hash = await there.get(PasswordHashing).hash('another');
    await managerOf(there).update(Password, { userId: 'carol' }, { hash });
    await expect(here.verify('carol', DEMO_PASSWORD, '192.0.2.1')).rejects.toThrow('wrong password');
    expect((await here.verify('carol', 'another', '192.0.2.1')).id).toBe('carol');
  });

  it('rejects an account as soon as another process has disabled it', async () => {
    expect((await here.verify('dave', DEMO_PASSWORD, '192.0.2.1')).id).toBe('dave');
    await managerOf(there).update(User, { id: 'dave' }, { disabledAt: new Date() });
    await expect(here.verify('dave', DEMO_PASSWORD, '192.0.2.1')).rejects.toThrow('disabled');
  });

  it('allows ten wrong guesses across all processes', async () => {
    const processes = [here, there.get(PasswordsService)] as const;
    for (let i = 0; i < 10; i++)
      await expect(processes[i % 2]!.verify('alice', `guess ${i}`, `192.0.2.${i + 10}`)).rejects.toThrow(
        'wrong password',
      );
    for (const each of processes)
      await expect(each.verify('alice', DEMO_PASSWORD, '192.0.2.30')).rejects.toMatchObject({ status: 429 });
  });

  // PostgreSQL stores integers only.
  if (!process.env['DATABASE_URL'])
    it('allows no guess while a counter is text', async () => {
      await booted.db.sql`DELETE FROM login_failures`;
      const guess = () => here.verify('bob', 'a guess', '192.0.2.35');
      await expect(guess()).rejects.toThrow('wrong password');
      await booted.db.sql`UPDATE login_failures SET points = ${'many'}`;
      await expect(guess()).rejects.toThrow('not an integer');
      await booted.db.sql`UPDATE login_failures SET points = ${100}, expire = ${'never'}`;
      await expect(guess()).rejects.toThrow('not an integer');
    });

  it('resets the counters after a success, and stores no typed username', async () => {
    await booted.db.sql`DELETE FROM login_failures`;
    await here.verify('bob', DEMO_PASSWORD, '192.0.2.40');
    expect((await rows()).map(({ points }) => points)).toEqual([0, 0]);
    await expect(here.verify('hunter2', 'oops', '192.0.2.41')).rejects.toThrow();
    expect((await rows()).filter(({ points }) => points === 1)).toHaveLength(2);
    expect(JSON.stringify(await rows())).not.toMatch(/hunter2|oops|bob|192\.0\.2/);
  });

  it('keeps the count when a concurrent transaction is rolled back', async () => {
    await booted.db.sql`DELETE FROM login_failures`;
    const attempts = booted.app.get(LoginAttempts);
    const attempt = await attempts.open('mallory', 'mallory', '192.0.2.50');
    let counted: Promise<unknown> | undefined;
    await booted.db
      .transaction(async (manager) => {
        counted = attempts.count(attempt, fails);
        for (let i = 0; i < 10; i++) await manager.find(User);
        throw new Error('rolled back');
      })
      .catch(() => {});
    await counted;
    expect((await rows()).map(({ points }) => points)).toEqual([1, 1]);
  });

  it('does not count attempts of a blocked address against the account', async () => {
    await booted.db.sql`DELETE FROM login_failures`;
    const attempts = booted.app.get(LoginAttempts);
    const attempt = await attempts.open('mallory', 'mallory', '192.0.2.51');
    for (let i = 0; i < 50; i++) await attempts.count({ ...attempt, accountKey: `account ${i}` }, fails);
    await expect(attempts.count(attempt, fails)).rejects.toMatchObject({ status: 429 });
    expect((await rows()).map(({ key }) => key)).not.toContain(`account:${attempt.accountKey}`);
  });

  it('deletes failures after their window, and addresses after a month', async () => {
    await booted.db.sql`DELETE FROM login_failures`;
    await booted.db.sql`INSERT INTO login_failures VALUES (${'old'}, ${3}, ${Date.now() - 1})`;
    await booted.db.sql`INSERT INTO login_failures VALUES (${'new'}, ${3}, ${Date.now() + 60_000})`;
    await booted.db.sql`DELETE FROM known_addresses`;
    await booted.db.manager.insert(KnownAddress, [
      { userId: 'bob', address: '192.0.2.1', seenAt: new Date(Date.now() - 31 * DAY) },
      { userId: 'bob', address: '192.0.2.2', seenAt: new Date(Date.now() - 29 * DAY) },
    ]);
    await booted.app.get(LoginAttempts).cleanUp();
    expect((await rows()).map(({ key }) => key)).toEqual(['new']);
    const known = await booted.db.manager.find(KnownAddress);
    expect(known.map(({ address }) => address)).toEqual(['192.0.2.2']);
  });

  it('updates a known address once a day, and forgets one not seen for a month', async () => {
    await booted.db.sql`DELETE FROM login_failures`;
    const seen = async (daysAgo: number) => {
      const seenAt = new Date(Date.now() - daysAgo * DAY);
      await booted.db.manager.upsert(KnownAddress, { userId: 'bob', address: '192.0.2.60', seenAt }, [
        'userId',
        'address',
      ]);
      // A new hash, so that the password is verified again.
      const hash = await booted.app.get(PasswordHashing).hash(DEMO_PASSWORD);
      await booted.db.manager.update(Password, { userId: 'bob' }, { hash });
      return seenAt;
    };
    const noted = async () =>
      (await booted.db.manager.findOneByOrFail(KnownAddress, { userId: 'bob', address: '192.0.2.60' }))
        .seenAt;

    const today = await seen(0.5);
    await here.verify('bob', DEMO_PASSWORD, '192.0.2.60');
    expect(await noted()).toEqual(today);
    const lastWeek = await seen(7);
    await here.verify('bob', DEMO_PASSWORD, '192.0.2.60');
    expect((await noted()).getTime()).toBeGreaterThan(lastWeek.getTime());

    for (let i = 0; i < 10; i++)
      await expect(here.verify('bob', `guess ${i}`, '192.0.2.61')).rejects.toThrow('wrong password');
    await seen(31);
    await expect(here.verify('bob', DEMO_PASSWORD, '192.0.2.60')).rejects.toMatchObject({ status: 429 });
    await seen(29);
    expect((await here.verify('bob', DEMO_PASSWORD, '192.0.2.60')).id).toBe('bob');
  });

  it('remembers a verification for five minutes, and never a failure', async () => {
    jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask', 'setImmediate'] });
    jest.advanceTimersByTime(1);
    const verified = new VerifiedPasswords();
    const ip = '192.0.2.70';
    let runs = 0;
    const verify = (...claim: string[]) => verified.once(ip, claim, async () => void runs++);
    await verify('bob', 'secret');
    await verify('bob', 'secret');
    expect(runs).toBe(1);
    // The same letters, split differently, are another claim.
    await verify('bobs', 'ecret');
    expect(runs).toBe(2);

    jest.advanceTimersByTime(4 * 60_000);
    await verify('bob', 'secret');
    expect(runs).toBe(2);
    jest.advanceTimersByTime(60_001);
    await verify('bob', 'secret');
    expect(runs).toBe(3);

    const failing = verified.once(ip, ['eve'], () => Promise.reject(new Error('wrong')));
    await expect(failing).rejects.toThrow('wrong');
    await verify('eve');
    expect(runs).toBe(4);
  });

  it('counts an IPv6 address by its /64, and an IPv4-mapped one as IPv4', () => {
    expect(networkOf('192.0.2.1')).toBe('192.0.2.1');
    expect(networkOf('::ffff:192.0.2.1')).toBe('192.0.2.1');
    expect(networkOf('::FFFF:c000:201')).toBe('192.0.2.1');
    expect(networkOf('2001:db8:1:2:3:4:5:6')).toBe('2001:db8:1:2::/64');
    expect(networkOf('2001:0DB8:0001:0002::')).toBe('2001:db8:1:2::/64');
    expect(networkOf('2001:db8::1')).toBe('2001:db8:0:0::/64');
    expect(networkOf('fe80::1%eth0')).toBe('fe80:0:0:0::/64');
    expect(networkOf('::1')).toBe('0:0:0:0::/64');
  });
});

const managerOf = (app: Awaited<ReturnType<typeof createApp>>) => app.get(DataSource).manager;
