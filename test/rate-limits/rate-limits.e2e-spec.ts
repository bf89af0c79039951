import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { Controller, Get, HttpCode, Injectable, Module, Post } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { randomInt, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Strategy } from 'passport-custom';
import { BadCredential, Challenge, Unauthenticated } from '../../src/authentication/challenge.js';
import { Public } from '../../src/authentication/plan.js';
import type { AuthMethod, AuthStrategy } from '../../src/authentication/method.js';
import type { AuthRequest } from '../../src/authentication/request.js';
import type { Principal } from '../../src/authentication/principal.js';
import { boot, client, freshDatabase, type TestResponse, type Booted } from '../support/app.js';
import { FailedAttempts } from '../../src/rate-limits/failed-attempts.service.js';

/** A method with unlimited credentials: `X-Badge: bob/1` is valid, `X-Badge: wrong` is not. */
@Injectable()
class BadgeStrategy extends PassportStrategy(Strategy, 'badge') implements AuthStrategy {
  readonly challenge = new Challenge('Badge');
  claims = (request: AuthRequest) => request.header('X-Badge') !== undefined;

  validate(request: AuthRequest): Principal {
    const [id = '', credentialId] = (request.header('X-Badge') ?? '').split('/');
    if (id === 'wrong') throw new BadCredential('invalid_credentials', 'a wrong badge');
    const proof = { method: 'test', at: new Date(), amr: ['hwk'], bound: false } as const;
    return {
      id,
      kind: 'user',
      tenantId: 'acme',
      roles: [],
      proofs: [{ ...proof, ...(credentialId && { credentialId }) }],
    };
  }
}

@Module({ providers: [BadgeStrategy] })
class BadgeModule {}

const badges: AuthMethod = {
  name: 'test',
  module: BadgeModule,
  strategy: BadgeStrategy,
  errors: ['401 invalid_credentials'],
};

@Controller('limited')
@Public()
class Routes {
  @Get() read() {
    return { open: true };
  }
  @Post() @HttpCode(200) ceremony() {
    return { open: true };
  }
}

const PROXY = { TRUST_PROXY: '127.0.0.1' };
const TWO_A_MINUTE = { RATE_LIMIT_PER_ADDRESS: '2' };

// Different addresses in each run, because Redis keeps counts for a minute.
let hosts = randomInt(2 ** 24);
/** An unused address, as the trusted proxy reports it. */
const freshAddress = () => `10.${(hosts >> 16) & 255}.${(hosts >> 8) & 255}.${hosts++ & 255}`;

const start = (env: Record<string, string>, more: { logTo?: { write: (line: string) => void } } = {}) =>
  boot({ env, methods: [badges], controllers: [Routes], ...more });

/** Sends a request with this badge through the proxy from this address. */
const send = ({ origin }: Booted, badge: string | undefined, from?: string, path = '/me', method = 'GET') =>
  client(origin).send(method, path, {
    headers: { ...(badge && { 'X-Badge': badge }), ...(from && { 'X-Forwarded-For': from }) },
  });

async function times(count: number, one: () => Promise<TestResponse>): Promise<number[]> {
  const statuses = [];
  for (let i = 0; i < count; i++) statuses.push((await one()).status);
  return statuses;
}

function expectLimited({ status, headers, body }: TestResponse): void {
  expect({ status, code: body.code, type: headers.get('content-type') }).toEqual({
    status: 429,
    code: 'too_many_requests',
    type: expect.stringMatching('application/problem\\+json'),
  });
  expect(headers.get('retry-after')).toMatch(/^([1-9]|[1-5]\d|60)$/);
}

const inAMinute = () => {
  for (const clock of [Date, performance]) {
    const now = clock.now() + 61_000;
    jest.spyOn(clock, 'now').mockImplementation(() => now);
  }
};

describe('request limits', () => {
  const running: Booted[] = [];
  const booted = async (...given: Parameters<typeof start>) => {
    const each = await start(...given);
    running.push(each);
    return each;
  };
  afterEach(async () => {
    jest.restoreAllMocks();
    for (const each of running.splice(0)) await each.close();
  });

  it('apply per address, with and without a credential', async () => {
    const api = await booted({ ...PROXY, ...TWO_A_MINUTE });
    const [here, elsewhere] = [freshAddress(), freshAddress()];
    expect((await send(api, 'alice/1', here)).status).toBe(200);
    expect((await send(api, undefined, here)).status).toBe(401);
    expectLimited(await send(api, 'bob/1', here));
    expectLimited(await send(api, undefined, here, '/limited'));
    expect((await send(api, 'bob/1', elsewhere)).status).toBe(200);
  });

  it('apply for a minute', async () => {
    const api = await booted({ ...PROXY, ...TWO_A_MINUTE });
    const from = freshAddress();
    expect(await times(3, () => send(api, 'alice/1', from))).toEqual([200, 200, 429]);
    inAMinute();
    expect(await times(3, () => send(api, 'alice/1', from))).toEqual([200, 200, 429]);
  });

  it('apply per credential from all addresses, and separately to each credential of an account', async () => {
    const api = await booted({ ...PROXY, RATE_LIMIT_PER_CREDENTIAL: '2' });
    for (const badge of ['bob/1', 'bob/2', 'bob', 'alice']) {
      expect(await times(2, () => send(api, badge, freshAddress()))).toEqual([200, 200]);
      expectLimited(await send(api, badge, freshAddress()));
    }
  });

  it('do not apply to health checks', async () => {
    const api = await booted({ ...PROXY, ...TWO_A_MINUTE });
    const from = freshAddress();
    const call = () => send(api, undefined, from, '/health/ready');
    expect(await times(5, call)).toEqual(Array(5).fill(200));
    await times(3, () => send(api, undefined, from));
    expect(await times(2, call)).toEqual([200, 200]);
  });

  describe('attacks', () => {
    it('count all addresses of an IPv6 /64 together', async () => {
      const api = await booted({ ...PROXY, ...TWO_A_MINUTE });
      for (const from of ['2001:db8:1:2::1', '2001:db8:1:2:ffff::'])
        expect((await send(api, 'alice/1', from)).status).toBe(200);
      expectLimited(await send(api, 'alice/1', '2001:db8:1:2:3:4:5:6'));
      expect((await send(api, 'alice/1', '2001:db8:1:3::1')).status).toBe(200);
    });

    it('count an address with different ports together', async () => {
      const api = await booted({ ...PROXY, ...TWO_A_MINUTE });
      const from = freshAddress();
      expect((await send(api, 'alice/1', `${from}:20001`)).status).toBe(200);
      expect((await send(api, 'alice/1', `${from}:20002`)).status).toBe(200);
      expectLimited(await send(api, 'alice/1', `${from}:20003`));
    });

    it('ignore X-Forwarded-For from an untrusted peer', async () => {
      const api = await booted(TWO_A_MINUTE);
      expect(await times(3, () => send(api, 'alice/1', freshAddress()))).toEqual([200, 200, 429]);
    });
  });

  describe('without a responding Redis', () => {
    it('the API starts, serves and limits, and logs the outage once', async () => {
      const lines: string[] = [];
      const logTo = { write: (line: string) => void lines.push(line) };
      const api = await booted({ ...PROXY, ...TWO_A_MINUTE, REDIS_URL: 'redis://127.0.0.1:1' }, { logTo });
      const from = freshAddress();
      expect(await times(3, () => send(api, 'alice/1', from))).toEqual([200, 200, 429]);
      expect(lines.filter((line) => line.includes('redis is down'))).toEqual([
        expect.stringContaining('ECONNREFUSED'),
      ]);
    });

    it('no request waits for a Redis that hangs', async () => {
      const silent = createServer(() => {});
      const port = await listen(silent);
      const api = await booted({ ...PROXY, ...TWO_A_MINUTE, REDIS_URL: `redis://127.0.0.1:${port}` });
      const from = freshAddress();
      expect(await times(3, () => send(api, 'alice/1', from))).toEqual([200, 200, 429]);
      silent.close();
    });
  });

  // Run by .ci/run, which starts one.
  const redis = process.env['REDIS_URL'];
  if (redis)
    describe('with Redis', () => {
      it('two processes count together', async () => {
        const env = {
          ...PROXY,
          RATE_LIMIT_PER_ADDRESS: '4',
          RATE_LIMIT_PER_CREDENTIAL: '3',
          REDIS_URL: redis,
        };
        const [one, other] = [await booted(env), await booted(env)];
        const [from, badge] = [freshAddress(), `bob/${randomUUID()}`];
        const call = (api: Booted) => send(api, undefined, from, '/limited');
        expect((await call(one)).status).toBe(200);
        expect(await times(3, () => call(other))).toEqual([200, 200, 200]);
        expectLimited(await call(one));
        expectLimited(await call(other));

        expect(await times(2, () => send(one, badge, freshAddress()))).toEqual([200, 200]);
        expect((await send(other, badge, freshAddress())).status).toBe(200);
        expectLimited(await send(one, badge, freshAddress()));
        expectLimited(await send(other, badge, freshAddress()));
      });

      it('each process limits requests during an outage, and Redis counts again afterwards', async () => {
        const [link, lines] = [new Link(redis), [] as string[]];
        await link.up();
        const badge = `bob/${randomUUID()}`;
        const env = { ...PROXY, RATE_LIMIT_PER_CREDENTIAL: '2', REDIS_URL: link.url };
        let back = () => {};
        const isBack = new Promise<void>((resolve) => (back = resolve));
        const logTo = {
          write: (line: string) => {
            lines.push(line);
            if (line.includes('redis is back')) back();
          },
        };
        // Nest logs through the application that was created last.
        const other = await booted({ ...env, REDIS_URL: redis });
        const one = await booted(env, { logTo });
        expect(await times(2, () => send(one, `${badge}a`, freshAddress()))).toEqual([200, 200]);
        await link.down();
        expect(await times(3, () => send(one, `${badge}b`, freshAddress()))).toEqual([200, 200, 429]);
        expect(lines.filter((line) => line.includes('redis is down'))).toHaveLength(1);
        await link.up();
        await isBack;
        expect(await times(2, () => send(one, `${badge}c`, freshAddress()))).toEqual([200, 200]);
        expectLimited(await send(other, `${badge}c`, freshAddress()));
        await link.down();
      });

      it('a request that waits for a silent Redis gets a response', async () => {
        const link = new Link(redis);
        await link.up();
        const api = await booted({ ...PROXY, REDIS_URL: link.url });
        link.hush();
        expect((await send(api, 'alice/1', freshAddress())).status).toBe(200);
        await link.down();
      });

      it('closes its connection with the application', async () => {
        const link = new Link(redis);
        await link.up();
        const api = await start({ REDIS_URL: link.url });
        expect((await send(api, 'alice/1')).status).toBe(200);
        await api.close();
        await link.unused();
      });
    });
});

describe('limit of wrong credentials per address', () => {
  const FIVE = { ...PROXY, RATE_LIMIT_BAD_CREDENTIALS: '5' };
  let api: Booted;
  beforeAll(async () => (api = await start(FIVE)));
  afterAll(() => api.close());
  afterEach(() => void jest.restoreAllMocks());

  const guess = (from: string, at = api) => send(at, 'wrong', from);
  const useUp = async (from: string) => {
    expect(await times(6, () => guess(from))).toEqual(Array(6).fill(401));
    expectLimited(await guess(from));
  };

  it('rejects the address for a minute after five wrong credentials, and serves the owner from elsewhere', async () => {
    const from = freshAddress();
    await useUp(from);
    expectLimited(await send(api, 'alice/1', from));
    expect((await send(api, 'alice/1', freshAddress())).status).toBe(200);
    inAMinute();
    expect((await send(api, 'alice/1', from)).status).toBe(200);
    await useUp(from);
  });

  it('does not count requests without a credential', async () => {
    const from = freshAddress();
    expect(await times(10, () => send(api, undefined, from))).toEqual(Array(10).fill(401));
    expect((await send(api, 'alice/1', from)).status).toBe(200);
  });

  it('still serves public GET routes, but no ceremony', async () => {
    const from = freshAddress();
    await useUp(from);
    expect((await send(api, undefined, from, '/limited')).status).toBe(200);
    expect((await send(api, undefined, from, '/health/live')).status).toBe(200);
    expectLimited(await send(api, undefined, from, '/limited', 'POST'));
  });

  it('stores one row per address, and none for valid requests', async () => {
    const from = freshAddress();
    const rows = () => api.db.sql<{ key: string; points: number }[]>`
      SELECT key, points FROM login_failures WHERE key = ${`credentials:${from}`}`;
    await times(20, () => send(api, 'alice/1', from));
    await api.app.get(FailedAttempts).flush();
    expect(await rows()).toEqual([]);
    await useUp(from);
    await times(20, () => guess(from));
    await api.app.get(FailedAttempts).flush();
    expect(await rows()).toEqual([{ key: `credentials:${from}`, points: 6 }]);
  });

  it('limits an address whose stored count has lost its expiry', async () => {
    const [from, failures] = [freshAddress(), api.app.get(FailedAttempts)];
    await guess(from);
    await failures.flush();
    await api.db.sql`UPDATE login_failures SET expire = ${null} WHERE key = ${`credentials:${from}`}`;
    await times(5, () => guess(from));
    await failures.flush();
    expectLimited(await guess(from));
  });

  it('loses no count while the database is unavailable', async () => {
    const [from, failures] = [freshAddress(), api.app.get(FailedAttempts)];
    await times(4, () => guess(from));
    await api.db.query('ALTER TABLE login_failures RENAME TO away');
    await failures.flush();
    await api.db.query('ALTER TABLE away RENAME TO login_failures');
    await failures.flush();
    const rows = await api.db.sql`SELECT points FROM login_failures WHERE key = ${`credentials:${from}`}`;
    expect(rows).toEqual([{ points: 4 }]);
    expect(await times(3, () => guess(from))).toEqual([401, 401, 429]);
  });

  describe('attacks', () => {
    it('counts guesses at two processes together', async () => {
      const [database, folder] = [await freshDatabase(), mkdtempSync(join(tmpdir(), 'atlas-'))];
      const env = { ...FIVE, DATA_DIR: folder, ...database.env };
      const [one, other] = [await start(env), await start(env)];
      const [from, flush] = [freshAddress(), (each: Booted) => each.app.get(FailedAttempts).flush()];

      expect(await times(4, () => guess(from, one))).toEqual(Array(4).fill(401));
      await flush(one);
      expect(await times(2, () => guess(from, other))).toEqual([401, 401]);
      await flush(other);
      expectLimited(await guess(from, other));
      expect((await guess(from, one)).status).toBe(401);
      await flush(one);
      expectLimited(await send(one, 'alice/1', from));

      const last = freshAddress();
      await guess(last, one);
      await one.close();
      const key = `credentials:${last}`;
      expect(await other.db.sql`SELECT points FROM login_failures WHERE key = ${key}`).toEqual([
        { points: 1 },
      ]);
      await other.close();
      await database.drop();
      rmSync(folder, { recursive: true });
    });

    it('stores more addresses than one batch holds within seconds', async () => {
      const before = new Date();
      const storedAddresses = async () => {
        const rows = await api.db.sql<unknown[]>`
          SELECT 1 FROM login_failures WHERE key LIKE ${'credentials:10.%'} AND expire > ${before.getTime() + 60_000}`;
        return rows.length;
      };
      const wrong = new Unauthenticated([], 'code', 'detail', { method: 'test', reason: 'a wrong badge' });
      for (let i = 0; i < 501; i++) api.app.get(FailedAttempts).rejected(freshAddress(), wrong);
      while ((await storedAddresses()) < 501) await send(api, undefined, freshAddress(), '/limited');
    });
  });
});

const listen = (server: Server) =>
  new Promise<number>((resolve) =>
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)),
  );

/** A TCP proxy to Redis that a test can interrupt. */
class Link {
  private readonly sockets = new Set<Socket>();
  private readonly server: Server;
  private port = 0;

  constructor(private readonly target: string) {
    const { hostname, port } = new URL(target);
    this.server = createServer((near) => {
      const far = connect(Number(port), hostname);
      for (const socket of [near, far]) {
        this.sockets.add(socket);
        socket.on('error', () => {}).on('close', () => [near, far].forEach((each) => each.destroy()));
      }
      near.pipe(far).pipe(near);
    });
  }

  get url(): string {
    const url = new URL(this.target);
    url.host = `127.0.0.1:${this.port}`;
    return url.href;
  }

  up = () =>
    new Promise<void>((resolve) =>
      this.server.listen(this.port, '127.0.0.1', () => {
        this.port = (this.server.address() as AddressInfo).port;
        resolve();
      }),
    );

  /** Waits until no client is connected. */
  unused = () => new Promise<void>((resolve) => this.server.close(() => resolve()));

  down = () => {
    const unused = this.unused();
    for (const socket of this.sockets) socket.destroy();
    return unused;
  };

  /** Keeps the connections open without forwarding data. */
  hush = () => this.sockets.forEach((socket) => socket.unpipe().pause());
}
