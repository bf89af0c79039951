import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataSource } from 'typeorm';
import { createApp } from '../../src/app.js';
import { Settings } from '../../src/config/settings.js';
import { DEMO_PASSWORD } from '../../src/database/demo-data.service.js';
import { LoginAttempts } from '../../src/passwords/login-attempts.service.js';
import { PasswordHashing } from '../../src/passwords/password-hashing.service.js';
import { KnownAddress } from '../../src/passwords/known-address.entity.js';
import { Password } from '../../src/passwords/password.entity.js';
import { PasswordsService } from '../../src/passwords/passwords.service.js';
import { VerifiedPasswords } from '../../src/passwords/verified-passwords.js';
import { User } from '../../src/users/user.entity.js';
import { boot, type Booted } from '../support/app.js';
import { networkOf } from '../../src/rate-limits/network.js';

const DAY = 24 * 60 * 60_000;

describe('passwords', () => {
  let booted: Booted;
  let here: PasswordsService;
  /** A second process on the same database, as another instance of the same service. */
  let there: Awaited<ReturnType<typeof createApp>>;
  const folder = mkdtempSync(join(tmpdir(), 'atlas-'));

  beforeAll(async () => {
    booted = await boot({ env: { DATA_DIR: folder } });
    here = booted.app.get(PasswordsService);
    there = await (await createApp(booted.app.get(Settings))).init();
  });
  afterAll(async () => {
    await there.close();
    await booted.close();
    rmSync(folder, { recursive: true });
  });

  afterEach(() => void jest.useRealTimers());

  const rows = () => booted.db.sql<{ key: string; points: number }[]>`SELECT key, points FROM login_failures`;

  it('are argon2id at rest, of the cost that OWASP recommends, each with its own salt', async () => {
    const stored = await booted.db.manager.find(Password);
    expect(stored.map(({ userId }) => userId).sort()).toEqual(['alice', 'bob', 'carol', 'dave', 'mallory']);
    for (const { hash } of stored) expect(hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
    expect(new Set(stored.map(({ hash }) => hash)).size).toBe(stored.length);
  });

  it('changed by another process are obeyed by this one at once, whatever it remembers', async () => {
    expect((await here.verify('carol', DEMO_PASSWORD, '192.0.2.1')).id).toBe('carol');
    const hash = await there.get(PasswordHashing).hash('another');
    await managerOf(there).update(Password, { userId: 'carol' }, { hash });
    await expect(here.verify('carol', DEMO_PASSWORD, '192.0.2.1')).rejects.toThrow('wrong password');
    expect((await here.verify('carol', 'another', '192.0.2.1')).id).toBe('carol');
  });

  it('of an account that another process disables are refused by this one at once', async () => {
    expect((await here.verify('dave', DEMO_PASSWORD, '192.0.2.1')).id).toBe('dave');
    await managerOf(there).update(User, { id: 'dave' }, { disabledAt: new Date() });
    await expect(here.verify('dave', DEMO_PASSWORD, '192.0.2.1')).rejects.toThrow('disabled');
  });

  it('are guessed ten times in all, not ten times at each process', async () => {
    const processes = [here, there.get(PasswordsService)] as const;
    for (let i = 0; i < 10; i++)
      await expect(processes[i % 2]!.verify('alice', `guess ${i}`, `192.0.2.${i + 10}`)).rejects.toThrow(
        'wrong password',
      );
    for (const each of processes)
      await expect(each.verify('alice', DEMO_PASSWORD, '192.0.2.30')).rejects.toMatchObject({ status: 429 });
  });

  it('leave no trace of a success in the counters, and none of what was typed as a name', async () => {
    await booted.db.sql`DELETE FROM login_failures`;
    await here.verify('bob', DEMO_PASSWORD, '192.0.2.40');
    expect((await rows()).map(({ points }) => points)).toEqual([0, 0]);
    await expect(here.verify('hunter2', 'oops', '192.0.2.41')).rejects.toThrow();
    expect((await rows()).filter(({ points }) => points === 1)).toHaveLength(2);
    expect(JSON.stringify(await rows())).not.toMatch(/hunter2|oops|bob|192\.0\.2/);
  });

  it('are counted for good, even while a transaction of somebody else is rolled back', async () => {
    await booted.db.sql`DELETE FROM login_failures`;
    const attempts = booted.app.get(LoginAttempts);
    const attempt = await attempts.of('mallory', 'mallory', '192.0.2.50');
    let counted: Promise<void> | undefined;
    await booted.db
      .transaction(async (manager) => {
        counted = attempts.count(attempt);
        for (let i = 0; i < 10; i++) await manager.find(User);
        throw new Error('rolled back');
      })
      .catch(() => {});
    await counted;
    expect((await rows()).map(({ points }) => points)).toEqual([1, 1]);
  });

  it('are not counted against an account by an address that is refused', async () => {
    await booted.db.sql`DELETE FROM login_failures`;
    const attempts = booted.app.get(LoginAttempts);
    const attempt = await attempts.of('mallory', 'mallory', '192.0.2.51');
    for (let i = 0; i < 50; i++) await attempts.count({ ...attempt, account: `account ${i}` });
    await expect(attempts.count(attempt)).rejects.toMatchObject({ status: 429 });
    expect((await rows()).map(({ key }) => key)).not.toContain(`account:${attempt.account}`);
  });

  it('forget failures when their time is over, and addresses after a month', async () => {
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

  it('note an address once a day, and an address not seen for a month is a stranger again', async () => {
    await booted.db.sql`DELETE FROM login_failures`;
    const seen = async (daysAgo: number) => {
      const seenAt = new Date(Date.now() - daysAgo * DAY);
      await booted.db.manager.upsert(KnownAddress, { userId: 'bob', address: '192.0.2.60', seenAt }, [
        'userId',
        'address',
      ]);
      // A new hash, so that the password is verified and not remembered.
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

  it('are remembered as proved for five minutes, and no failure ever', async () => {
    jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask', 'setImmediate'] });
    jest.advanceTimersByTime(1);
    const proofs = new VerifiedPasswords();
    let proved = 0;
    const prove = (...claim: string[]) => proofs.once(claim, async () => void proved++);
    await prove('bob', 'secret');
    await prove('bob', 'secret');
    expect(proved).toBe(1);
    // The same letters, cut elsewhere, are another claim.
    await prove('bobs', 'ecret');
    expect(proved).toBe(2);

    jest.advanceTimersByTime(4 * 60_000);
    await prove('bob', 'secret');
    expect(proved).toBe(2);
    jest.advanceTimersByTime(60_001);
    await prove('bob', 'secret');
    expect(proved).toBe(3);

    const fails = () => proofs.once(['eve'], () => Promise.reject(new Error('wrong')));
    await expect(fails()).rejects.toThrow('wrong');
    await prove('eve');
    expect(proved).toBe(4);
  });

  it('count addresses by the network that one customer owns', () => {
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
