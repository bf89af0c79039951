import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { client, freshDatabase } from '../app.js';

/** The server as it is started by `npm start`, on a port and with a database of its own. */
class Started {
  readonly exit: Promise<number | null>;
  out = '';
  errors = '';

  constructor(private readonly child: ChildProcess) {
    child.stdout!.setEncoding('utf8').on('data', (text: string) => (this.out += text));
    child.stderr!.setEncoding('utf8').on('data', (text: string) => (this.errors += text));
    this.exit = once(child, 'close').then(([code]) => code as number | null);
  }

  /** Waits for a text on standard output. */
  async says(pattern: RegExp): Promise<string> {
    for (;;) {
      const found = pattern.exec(this.out);
      if (found) return found[1] ?? found[0];
      if (this.child.exitCode !== null) throw new Error(`it ended: ${this.out}${this.errors}`);
      await Promise.race([once(this.child.stdout!, 'data'), this.exit]);
    }
  }

  origin = () =>
    this.says(/listens on (http:\/\/localhost:\d+)/).then((at) => at.replace('localhost', '127.0.0.1'));
  signal = (name: NodeJS.Signals) => this.child.kill(name);
}

const SECRET = 'Zm9vYmFyYmF6cXV4cXV1eGNvcmdlZ3JhdWx0Z2FycGx5';
const PRODUCTION = { NODE_ENV: 'production', APP_SECRET: SECRET, PUBLIC_URL: 'https://api.atlas.test' };

describe('the process', () => {
  const folder = mkdtempSync(join(tmpdir(), 'atlas-'));
  const running: Started[] = [];
  let database: Awaited<ReturnType<typeof freshDatabase>>;

  const start = (env: Record<string, string | undefined> = {}): Started => {
    const { PATH, HTTP_ADAPTER } = process.env;
    const child = spawn(process.execPath, ['dist/main.js'], {
      env: {
        PATH,
        ...(HTTP_ADAPTER && { HTTP_ADAPTER }),
        PORT: '0',
        DATA_DIR: join(folder, 'data'),
        ...database.env,
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const started = new Started(child);
    running.push(started);
    return started;
  };

  beforeAll(async () => {
    database = await freshDatabase();
    if (!existsSync('dist/main.js')) throw new Error('dist/main.js is missing: npm run build');
  });
  afterEach(async () => {
    for (const each of running.splice(0)) {
      each.signal('SIGKILL');
      await each.exit;
    }
  });
  afterAll(async () => {
    rmSync(folder, { recursive: true });
    await database.drop();
  });

  it('prints one curl line for each method, and the line works', async () => {
    const first = start();
    const origin = await first.origin();
    await first.says(/All routes: \S+\/openapi/);
    for (const name of ['basic', 'api-key'])
      expect(first.out).toMatch(new RegExp(`^  ${name} +curl .* http://localhost:\\d+/demo/${name}$`, 'm'));
    const [, user = ''] = /curl -u (\S+)/.exec(first.out) ?? [];
    const answer = await client(origin, {
      Authorization: `Basic ${Buffer.from(user).toString('base64')}`,
    }).get('/demo/basic');
    expect(answer).toMatchObject({ status: 200, body: { id: 'bob' } });
    expect(first.errors).toBe('');
  });

  it('keeps its data over a restart', async () => {
    const { origin, key } = await signedUp(start());
    expect((await client(origin, { 'X-API-Key': key }).get('/me')).status).toBe(200);
    running[0]!.signal('SIGTERM');
    expect(await running[0]!.exit).toBe(0);
    const again = await start().origin();
    expect(await client(again, { 'X-API-Key': key }).get('/me')).toMatchObject({
      status: 200,
      body: { id: 'bob' },
    });
  });

  async function signedUp(started: Started) {
    const origin = await started.origin();
    const [, user = ''] =
      /curl -u (\S+)/.exec(await started.says(/[^]*All routes/).then(() => started.out)) ?? [];
    const bob = client(origin, { Authorization: `Basic ${Buffer.from(user).toString('base64')}` });
    const { body } = await bob.post('/api-keys', { name: 'kept' });
    return { origin, key: body.key as string };
  }

  it.each(['SIGTERM', 'SIGINT'] as const)(
    'finishes the request under way on %s, drops idle connections, and exits with 0',
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
      // Its body is still on its way when the signal comes.
      const busy = connect(Number(port), hostname);
      busy.write(
        'POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n',
      );
      await once(busy, 'data');
      started.signal(signal);
      await Promise.all([once(idle, 'close'), once(silent, 'close')]);
      let answer = '';
      busy.setEncoding('utf8').on('data', (text: string) => (answer += text));
      busy.write('{}');
      await once(busy, 'close');
      expect(answer).toMatch(/^HTTP\/1\.1 404 .*"code":"not_found"/s);
      expect(await started.exit).toBe(0);
      expect(started.errors).toBe('');
    },
  );

  it('says in a sentence that its port is taken', async () => {
    const { port } = new URL(await start().origin());
    const second = start({ PORT: port });
    expect(await second.exit).toBe(1);
    expect(second.errors).toBe(`listen EADDRINUSE: address already in use 127.0.0.1:${port}\n`);
  });

  describe('attacks', () => {
    it('PLATFORM-32: does not start on settings that are unfit, with a sentence for each fault and no stack', async () => {
      const started = start({
        NODE_ENV: 'production',
        TRUST_PROXY: '0.0.0.0/0',
        PUBLIC_URL: 'http://a.test',
        DATABASE_URI: 'x',
      });
      expect(await started.exit).toBe(1);
      expect(started.out).toBe('');
      expect(started.errors.split('\n')).toEqual([
        'The configuration is not usable:',
        '- DATABASE_URI is not a setting; DATABASE_URL is.',
        '- TRUST_PROXY may not trust ranges so wide that anybody is in them.',
        '- APP_SECRET is required in production.',
        '- PUBLIC_URL must begin with https: in production.',
        '',
      ]);
    });

    it('production refuses a database that holds the demo', async () => {
      const started = start(PRODUCTION);
      expect(await started.exit).toBe(1);
      expect(started.errors).toMatch(/^This database holds the demo accounts, [^\n]*\.\n$/);
    });

    it('production makes no demo: no account, no table of curl lines, no open document', async () => {
      const own = await freshDatabase();
      const started = start({ ...PRODUCTION, DATA_DIR: join(folder, 'production'), ...own.env });
      const port = await started.says(/"event":"listening".*"port":(\d+)/);
      const { get } = client(`http://127.0.0.1:${port}`, {
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
