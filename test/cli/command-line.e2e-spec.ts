import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DataSource } from 'typeorm';
import { INSTALLED_METHODS, schemaOf } from '../../src/app.module.js';
import { AuditEvent } from '../../src/audit/audit-event.entity.js';
import { AuditLog } from '../../src/audit/audit-log.service.js';
import { Settings } from '../../src/config/settings.js';
import { SigningKey } from '../../src/crypto/signing-key.entity.js';
import { dataSourceOptions, openDataSource } from '../../src/database/data-source.js';
import { UserEmail } from '../../src/users/user-email.entity.js';
import { User } from '../../src/users/user.entity.js';
import { RANDOM_SECRET, freshDatabase } from '../support/app.js';
import { Server } from '../support/processes.js';
import type { AuditEventName } from '../../src/authentication/ports.js';

describe('the command line', () => {
  const folder = mkdtempSync(join(tmpdir(), 'atlas-command-line-'));
  let database: Awaited<ReturnType<typeof freshDatabase>>;
  let db: DataSource;
  let env: Record<string, string>;
  let log: AuditLog;

  beforeAll(async () => {
    database = await freshDatabase();
    env = { NODE_ENV: 'test', DATA_DIR: folder, APP_SECRET: RANDOM_SECRET, ...database.env };
    const settings = Settings.from(env);
    db = await openDataSource(dataSourceOptions(settings, schemaOf(INSTALLED_METHODS)));
    log = new AuditLog(db, settings);
  });
  afterAll(async () => {
    await db.destroy();
    rmSync(folder, { recursive: true });
    await database.drop();
  });

  /** Runs `npm run <program> -- <words>` with the built application. */
  const run = async (
    program: string,
    words: readonly string[],
    more: Record<string, string> = {},
    input: Uint8Array | string = '',
  ) => {
    const command = [`dist/cli/${program}.js`, ...words];
    const process = Server.start({ ...env, ...more }, command, 'pipe', input);
    const code = await process.exit;
    return { code, out: process.out, errors: process.errors };
  };
  const audit = (...words: string[]) => run('audit', words);
  const keys = (...words: string[]) => run('keys', words);
  const users = (...words: string[]) => run('users', words);
  const append = (event: AuditEventName) => db.transaction((manager) => log.append(manager, { event }));
  const lastEvent = async () => (await db.manager.find(AuditEvent, { order: { seq: 'DESC' }, take: 1 }))[0]!;

  it.each([
    ['audit', [[], ['verify', '12'], ['purge', '2026-02-31'], ['purge', '2026-01-31T00:00:00Z']]],
    ['keys', [['toString'], ['rotate', 'now']]],
    [
      'users',
      [
        ['disable'],
        ['enable', 'bob', 'alice'],
        ['roles', 'bob', 'root'],
        ['add', 'acme', 'bob', 'editor', '--name'],
        ['add', 'acme', 'bob', 'editor', '--nick', 'Bob'],
        ['name', 'bob'],
        ['name', 'bob', 'Bob', 'Example'],
      ],
    ],
  ])('%s prints its usage and exits with 2 on invalid arguments', async (program, all) => {
    for (const { code, out, errors } of await Promise.all(all.map((words) => run(program, words)))) {
      expect([code, out]).toEqual([2, '']);
      expect(errors).toMatch(new RegExp(`^(npm run ${program} -- .*\\n){2,6}(roles: .*\\n)?$`));
    }
  });

  it('exits with 1 and one sentence if a setting is invalid', async () => {
    const { code, out, errors } = await run('audit', ['verify'], { APP_SECRET: 'short' });
    expect([code, out]).toEqual([1, '']);
    expect(errors).toMatch(/^The configuration is invalid:\n- APP_SECRET must have at least 32 [^\n]*\n$/);
  });

  it('audit verify prints the number of events and the head, which a later call accepts as anchor', async () => {
    for (const event of ['sensitive_create', 'sensitive_delete'] as const) await append(event);
    const { hash } = await lastEvent();
    const first = await audit('verify');
    expect(first).toEqual({ code: 0, out: `2 events verified. Head: 2:${hash}\n`, errors: '' });
    await append('sensitive_read');
    expect((await audit('verify', `2:${hash}`)).code).toBe(0);
    expect(await audit('verify', `9:${hash}`)).toEqual({
      code: 1,
      out: '',
      errors: 'The chain is broken at event 4: it is missing: the anchor lies beyond the head.\n',
    });
  });

  it('audit verify names the first broken event and exits with 1', async () => {
    await db.manager.update(AuditEvent, { seq: 2 }, { event: 'sensitive_read' });
    expect(await audit('verify')).toEqual({
      code: 1,
      out: '',
      errors: 'The chain is broken at event 2: it was altered.\n',
    });
    await db.manager.update(AuditEvent, { seq: 2 }, { event: 'sensitive_delete' });
  });

  it('audit purge prints the last deleted event, and the rest verifies', async () => {
    expect(await audit('purge', '2020-01-31')).toEqual({
      code: 0,
      out: 'No events before that day.\n',
      errors: '',
    });
    const { seq, hash } = await lastEvent();
    expect(await audit('purge', '2999-12-31')).toEqual({
      code: 0,
      out: `Purged up to event ${seq}:${hash}\n`,
      errors: '',
    });
    expect((await audit('verify')).out).toMatch(/^1 events verified\. Head: 4:/);
  });

  it('keys rotate publishes one next key, replace-compromised invalidates all others, and both are audited', async () => {
    const rotated = await keys('rotate');
    expect([rotated.code, rotated.errors]).toEqual([0, '']);
    expect(rotated.out).toMatch(/^The next key is published. It signs from \d{4}-\S+Z\.\n$/);
    expect(await lastEvent()).toMatchObject({
      event: 'sensitive_update',
      target: 'signing-keys',
      details: { command: 'rotate' },
    });
    const { seq } = await lastEvent();
    expect((await keys('rotate')).out).toBe('A next key is already published and does not sign yet.\n');
    expect((await lastEvent()).seq).toBe(seq);

    expect(await keys('replace-compromised')).toEqual({
      code: 0,
      out: 'A new key signs. Signatures of all other keys are now invalid.\n',
      errors: '',
    });
    expect((await lastEvent()).details).toEqual({ command: 'replace-compromised' });
    const all = await db.manager.find(SigningKey, { order: { generation: 'ASC' } });
    expect(all.map(({ retiredAt }) => retiredAt?.getTime())).toEqual([0, 0, undefined]);
    expect((await audit('verify')).code).toBe(0);
  });

  it('rejects the published secret as the server does, and writes nothing', async () => {
    const before = await lastEvent();
    const onDatabase = { DATABASE_URL: 'postgres://127.0.0.1:1/none' };
    const attempts: [string, string[], Record<string, string>, RegExp][] = [
      ['audit', ['verify'], onDatabase, /^- APP_SECRET must be .* DATABASE_URL, unless/m],
      ['keys', ['rotate'], onDatabase, /^- APP_SECRET must be .* DATABASE_URL, unless/m],
      ['users', ['disable', 'x'], onDatabase, /^- APP_SECRET must be .* DATABASE_URL, unless/m],
      ['users', ['disable', 'x'], { DATABASE_URL: '', HOST: '::' }, /^- APP_SECRET must be .* loopback/m],
      ['users', ['disable', 'x'], { DEMO: 'true' }, /^This database has accounts of its own\. Set its .*\n$/],
      ['users', ['disable', 'x'], { NODE_ENV: 'production' }, /^- APP_SECRET is required in production/m],
    ];
    for (const [program, words, more, message] of attempts) {
      const { code, out, errors } = await run(program, words, { APP_SECRET: '', ...more });
      expect([program, code, out]).toEqual([program, 1, '']);
      expect(errors).toMatch(message);
    }
    expect(await lastEvent()).toEqual(before);
  });

  it('users add rejects a password in UTF-16, and creates nothing', async () => {
    const password = 'a long enough pass phrase';
    const words = ['add', 'acme', 'grace', 'viewer'];
    const wrong = await run('users', words, {}, Buffer.from(`\ufeff${password}\r\n`, 'utf16le'));
    expect([wrong.code, wrong.out]).toEqual([1, '']);
    expect(wrong.errors).toBe('The password must be UTF-8 text. This looks like UTF-16.\n');
    expect(await db.manager.existsBy(User, { username: 'grace' })).toBe(false);
    expect(await run('users', words, {}, `${password}\r\n`)).toMatchObject({ code: 0, errors: '' });
    expect(await db.manager.existsBy(User, { username: 'grace' })).toBe(true);
  });

  it('users add stores a display name, and users name changes or removes it', async () => {
    const password = 'a long enough pass phrase';
    const named = () => db.manager.findOneByOrFail(User, { username: 'heidi' });
    const words = ['add', 'acme', 'heidi', 'viewer', '--name', 'Heidi Example'];
    expect(await run('users', words, {}, password)).toMatchObject({ code: 0, errors: '' });
    const { id, name } = await named();
    expect(name).toBe('Heidi Example');
    expect(await users('name', 'Heidi', ' Heidi Sample')).toEqual({
      code: 0,
      out: 'Name changed.\n',
      errors: '',
    });
    expect((await named()).name).toBe('Heidi Sample');
    const event = await lastEvent();
    expect(event).toMatchObject({
      event: 'sensitive_update',
      target: `user:${id}`,
      details: { field: 'name' },
    });
    expect((await users('name', 'heidi', '')).out).toBe('Name removed.\n');
    expect((await named()).name).toBeNull();
    expect(await users('name', 'nobody', 'Nobody')).toMatchObject({ code: 1, out: '' });
  });

  it('users add stores a verified e-mail address, and rejects one that is taken or invalid', async () => {
    const password = 'a long enough pass phrase';
    const add = (username: string, email: string) =>
      run('users', ['add', 'acme', username, 'viewer', '--email', email], {}, password);
    expect(await add('olivia', 'Olivia@Bücher.example')).toMatchObject({ code: 0, errors: '' });
    const { id } = await db.manager.findOneByOrFail(User, { username: 'olivia' });
    expect(await db.manager.findOneByOrFail(UserEmail, { userId: id })).toMatchObject({
      address: 'olivia@xn--bcher-kva.example',
      verifiedAt: expect.any(Date),
    });
    expect((await add('peter', 'olivia@bücher.EXAMPLE')).errors).toBe(
      'Another account has this e-mail address.\n',
    );
    expect((await add('peter', 'peter＠acme.example')).errors).toBe(
      'This is not an e-mail address that is accepted.\n',
    );
    expect(await db.manager.existsBy(User, { username: 'peter' })).toBe(false);
  });

  it('users rejects a name with invisible characters, and stores nothing', async () => {
    const password = 'a long enough pass phrase';
    const before = await lastEvent();
    const name = 'Bob\u202egnp';
    const rejected = {
      code: 1,
      out: '',
      errors: 'A name has 1 to 100 characters, none of them invisible.\n',
    };
    const words = ['add', 'acme', 'ivan', 'viewer', '--name', name];
    expect(await run('users', words, {}, password)).toEqual(rejected);
    expect(await users('name', 'grace', name)).toEqual(rejected);
    expect(await users('name', 'grace', ' ')).toEqual(rejected);
    expect(await db.manager.existsBy(User, { username: 'ivan' })).toBe(false);
    expect(await lastEvent()).toEqual(before);
  });

  it('users add-machine creates a machine account, and the event', async () => {
    const { code, out } = await users('add-machine', 'initech', 'Nightly-Export', 'editor');
    const [, id = ''] = /^Machine account (\S+) created\./.exec(out) ?? [];
    expect(code).toBe(0);
    expect(await db.manager.findOneBy(User, { id })).toMatchObject({
      tenantId: 'initech',
      username: 'nightly-export',
      kind: 'client',
      roles: ['editor'],
      disabledAt: null,
    });
    expect(await lastEvent()).toMatchObject({
      event: 'sensitive_create',
      target: `user:${id}`,
      details: { tenant: 'initech', kind: 'client', roles: ['editor'] },
    });
    expect((await users('add-machine', 'initech', 'nightly-export', 'editor')).errors).toBe(
      'An account with this username exists.\n',
    );
  });

  it('users prints its change, or one sentence with the reason of a failure', async () => {
    await db.manager.insert(User, {
      ...{ id: 'erin', tenantId: 'acme', username: 'erin', kind: 'user' },
      ...{ roles: ['viewer'], disabledAt: null, epoch: 0 },
    });
    const account = () => db.manager.findOneByOrFail(User, { id: 'erin' });
    const [disabled, roles, unknown, weak] = await Promise.all([
      users('disable', 'erin'),
      users('roles', 'erin', 'editor', 'auditor'),
      users('disable', 'nobody'),
      users('password', 'erin'),
    ]);
    expect(disabled).toEqual({ code: 0, out: 'Account disabled.\n', errors: '' });
    expect(roles).toEqual({ code: 0, out: 'Roles changed.\n', errors: '' });
    expect(await account()).toMatchObject({
      disabledAt: expect.any(Date),
      roles: ['editor', 'auditor'],
    });
    expect([unknown.code, unknown.out]).toEqual([1, '']);
    expect(unknown.errors).toMatch(/No account has this username\.\n$/);
    expect([weak.code, weak.out]).toEqual([1, '']);
    expect(weak.errors).toMatch(/The password is too weak\. It is empty/);
    expect((await users('enable', 'erin')).out).toBe('Account enabled.\n');
    expect((await account()).disabledAt).toBeNull();
  });
});
