import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { INSTALLED_METHODS } from '../../src/app.module.js';
import { RANDOM_SECRET, client, freshDatabase } from '../support/app.js';
import { Server } from '../support/processes.js';

const PRODUCTION = {
  NODE_ENV: 'production',
  APP_SECRET: RANDOM_SECRET,
  PUBLIC_URL: 'https://api.atlas.test',
};

const run = async (command: string) => (await promisify(execFile)('sh', ['-c', `${command} -s`])).stdout;

describe('the process', () => {
  const folder = mkdtempSync(join(tmpdir(), 'atlas-'));
  const running: Server[] = [];
  let database: Awaited<ReturnType<typeof freshDatabase>>;

  const start = (env: Record<string, string | undefined> = {}, command?: string[]): Server => {
    const demo = env['NODE_ENV'] !== 'production' && { DEMO: 'true' };
    const all = { DATA_DIR: join(folder, 'data'), ...database.env, ...demo, ...env };
    const started = Server.start(all, command);
    running.push(started);
    return started;
  };

  beforeAll(async () => (database = await freshDatabase()));
  afterEach(async () => {
    for (const each of running.splice(0)) await each.stop('SIGKILL');
  });
  afterAll(async () => {
    rmSync(folder, { recursive: true });
    await database.drop();
  });

  it('prints a working curl command for each method that curl supports', async () => {
    const first = start();
    await first.waitForOutput(/All routes: \S+\/openapi/);
    for (const { name, curl } of INSTALLED_METHODS) {
      const [, line] = new RegExp(`^  ${name} +(curl .*/demo/${name})$`, 'm').exec(first.out) ?? [];
      // The authorization server prints the command of oauth.
      expect([name, line !== undefined]).toEqual([name, curl !== undefined || ['oauth'].includes(name)]);
      if (line) expect(JSON.parse(await run(line))).toMatchObject({ proofs: [{ method: name }] });
    }
    expect(first.errors).toBe('');
  });

  it('keeps its data across a restart', async () => {
    const { curl } = INSTALLED_METHODS.find((method) => method.curl)!;
    const json = `curl ${curl} -H 'Content-Type: application/json'`;
    const { id } = JSON.parse(await run(`${json} -d '{"title":"kept"}' ${await start().origin()}/documents`));
    running[0]!.signal('SIGTERM');
    expect(await running[0]!.exit).toBe(0);
    const again = await start().origin();
    expect(JSON.parse(await run(`${json} ${again}/documents/${id}`))).toMatchObject({ id, title: 'kept' });
  });

  it.each(['SIGTERM', 'SIGINT'] as const)(
    'finishes the request in progress on %s, closes idle connections and exits with 0',
    async (signal) => {
      const started = start();
      const origin = await started.origin();
      const { hostname, port } = new URL(origin);
      const idle = connect(Number(port), hostname);
      const silent = connect(Number(port), hostname);
      idle.write('GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n');
      await once(idle, 'data');
      idle.resume();
      silent.resume();
      // The signal arrives before the body.
      const busy = connect(Number(port), hostname);
      busy.write(
        'POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n',
      );
      await once(busy, 'data');
      started.signal(signal);
      await Promise.all([once(idle, 'close'), once(silent, 'close')]);
      let response = '';
      busy.setEncoding('utf8').on('data', (text: string) => (response += text));
      busy.write('{}');
      await once(busy, 'close');
      expect(response).toMatch(/^HTTP\/1\.1 404 .*"code":"not_found"/s);
      expect(response).toMatch(/^connection: close\r$/im);
      expect(await started.exit).toBe(0);
      expect(started.errors).toBe('');
    },
  );

  it.each([
    ['an exception in a timer', "setTimeout(() => { throw new Error('at fault'); })"],
    ['a rejected promise that nothing handles', "Promise.reject(new Error('at fault'))"],
  ])('logs %s, finishes the request in progress and exits with 1', async (_, fault) => {
    const onSignal = `process.on('SIGUSR2', () => { ${fault}; })`;
    const started = start({}, ['--import', `data:text/javascript,${onSignal}`, 'dist/main.js']);
    const { hostname, port } = new URL(await started.origin());
    const busy = connect(Number(port), hostname);
    busy.write(
      'POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n',
    );
    await once(busy, 'data');
    started.signal('SIGUSR2');
    const refused = () =>
      fetch(`http://${hostname}:${port}/health/live`).then(
        () => false,
        () => true,
      );
    while (!(await refused()));
    let response = '';
    busy.setEncoding('utf8').on('data', (text: string) => (response += text));
    busy.write('{}');
    await once(busy, 'close');
    expect(response).toMatch(/^HTTP\/1\.1 404 .*"code":"not_found"/s);
    expect(await started.exit).toBe(1);
    expect(started.errors).toBe('');
    const logged = started.out.split('\n').find((line) => line.includes('"level":"fatal"'));
    expect(JSON.parse(logged!)).toMatchObject({ context: 'Process', type: 'Error', error: 'at fault' });
  });

  it('starts without the demo after `users add` on an empty folder, and says so', async () => {
    const own = await freshDatabase();
    const onPostgres = own.env['DATABASE_URL'] !== undefined;
    const env = {
      DATA_DIR: join(folder, 'own'),
      ...own.env,
      ...(onPostgres && { APP_SECRET: RANDOM_SECRET }),
    };
    const words = ['dist/cli/users.js', 'add', 'acme', 'root', 'admin'];
    const password = 'a long enough pass phrase';
    const added = Server.start(env, words, 'pipe', password);
    expect([await added.exit, added.errors]).toEqual([0, '']);
    for (const DEMO of onPostgres ? ['true'] : ['', 'true']) {
      const started = start({ ...env, DEMO });
      const origin = await started.origin();
      expect(started.out).toMatch(/The demo is not created, because this database has other accounts\.\n/);
      expect(started.out).not.toMatch(/curl/);
      const signIn = (username: string, secret: string) =>
        client(origin).post('/auth/login', { username, password: secret, as: 'jwt' });
      expect((await signIn('root', password)).status).toBe(200);
      expect((await signIn('alice', 'correct-horse-battery-staple')).status).toBe(401);
      started.signal('SIGTERM');
      expect(await started.exit).toBe(0);
    }
    await own.drop();
  });

  it('reports a used port in one sentence', async () => {
    const { port } = new URL(await start().origin());
    const second = start({ PORT: port });
    expect(await second.exit).toBe(1);
    expect(second.errors).toBe(`listen EADDRINUSE: address already in use 127.0.0.1:${port}\n`);
  });

  describe('attacks', () => {
    it('does not start with invalid settings, and prints one sentence per error and no stack', async () => {
      const started = start({
        NODE_ENV: 'production',
        TRUST_PROXY: '0.0.0.0/0',
        PUBLIC_URL: 'http://a.test',
        DATABASE_URI: 'x',
      });
      expect(await started.exit).toBe(1);
      expect(started.out).toBe('');
      expect(started.errors.split('\n')).toEqual([
        'The configuration is invalid:',
        '- DATABASE_URI is not a setting; DATABASE_URL is.',
        '- TRUST_PROXY must not contain public address ranges.',
        '- APP_SECRET is required in production.',
        '- PUBLIC_URL must begin with https: in production.',
        '',
      ]);
    });

    it('rejects the published secret on a database that another secret protects', async () => {
      const own = await freshDatabase();
      const env = { DATA_DIR: join(folder, 'protected'), ...own.env };
      const words = ['dist/cli/users.js', 'add', 'acme', 'root', 'admin'];
      const protectedEnv = { ...env, APP_SECRET: RANDOM_SECRET };
      expect(await Server.start(protectedEnv, words, 'pipe', 'a long enough pass phrase').exit).toBe(0);
      const started = start({ ...env, DEMO: 'true' });
      expect(await started.exit).toBe(1);
      expect(started.errors).toBe(
        'This database has accounts of its own. Set its APP_SECRET: the published one is for the demo.\n',
      );
      await own.drop();
    });

    it.each([
      ['the server', ['dist/main.js']],
      ['a command line', ['dist/cli/users.js', 'roles', 'root', 'editor']],
    ])('rejects another secret on a database that the published one protects: %s', async (_, command) => {
      const env = {
        DATA_DIR: join(folder, `published-${command.length}`),
        DATABASE_URL: '',
        DEMO: undefined,
      };
      const words = ['dist/cli/users.js', 'add', 'acme', 'root', 'admin'];
      expect(await Server.start(env, words, 'pipe', 'a long enough pass phrase').exit).toBe(0);
      const message = 'This database was written with the published APP_SECRET. Use a new database.\n';
      for (const own of [PRODUCTION, { APP_SECRET: RANDOM_SECRET }]) {
        const started = start({ ...env, ...own }, command);
        expect([await started.exit, started.errors]).toEqual([1, message]);
      }
    });

    it.each([
      ['the server', ['dist/main.js']],
      ['a command line', ['dist/cli/users.js', 'roles', 'bob', 'admin']],
    ])('rejects a database with demo data where the demo is off: %s', async (_, command) => {
      const own = await freshDatabase();
      const secret = { APP_SECRET: RANDOM_SECRET };
      const data = { DATA_DIR: join(folder, `demo-${command.length}`), ...own.env, ...secret };
      const before = start(data);
      await before.origin();
      before.signal('SIGTERM');
      expect(await before.exit).toBe(0);
      for (const env of [PRODUCTION, { DEMO: undefined, HOST: '0.0.0.0' }, { DEMO: 'false' }]) {
        const started = start({ ...data, ...env }, command);
        expect([env, await started.exit]).toEqual([env, 1]);
        expect(started.errors).toBe(
          'This database contains the demo accounts, whose password is public. Use a new database without the demo.\n',
        );
      }
      await own.drop();
    });

    it('creates no demo in production: no account, no curl commands, no public OpenAPI document', async () => {
      const own = await freshDatabase();
      const started = start({
        ...PRODUCTION,
        TRUST_PROXY: '127.0.0.1',
        DATA_DIR: join(folder, 'production'),
        ...own.env,
      });
      const port = await started.waitForOutput(/"event":"listening".*"port":(\d+)/);
      const { get } = client(`http://127.0.0.1:${port}`, {
        'X-Forwarded-Proto': 'https',
        Authorization: `Basic ${Buffer.from('bob:correct-horse-battery-staple').toString('base64')}`,
      });
      expect((await get('/me')).status).toBe(401);
      expect((await get('/health/ready')).status).toBe(200);
      expect((await get('/openapi.json')).status).toBe(401);
      expect(started.out).not.toMatch(/curl|bob|correct-horse/);
      for (const line of started.out.trim().split('\n')) expect(JSON.parse(line)).toHaveProperty('level');
      started.signal('SIGTERM');
      expect(await started.exit).toBe(0);
      await own.drop();
    });
  });
});
