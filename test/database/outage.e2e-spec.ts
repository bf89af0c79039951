import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { Controller, Get, Param } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { Client } from 'pg';
import { DataSource, type EntityManager } from 'typeorm';
import type { BetterSqlite3Driver } from 'typeorm/driver/better-sqlite3/BetterSqlite3Driver.js';
import { Public } from '../../src/authentication/plan.js';
import { isDatabaseUnavailable } from '../../src/database/database-errors.js';
import { WriteCheckRow } from '../../src/database/write-check.service.js';
import { Tenant } from '../../src/users/user.entity.js';
import { as, boot, client, ownDatabase, type Booted, type TestResponse } from '../support/app.js';
import { allContracts, send } from '../support/contracts.js';

const postgres = process.env['DATABASE_URL'];
const contracts = await allContracts();

/** How Node, pg, TypeORM and SQLite report a database that cannot process a request now. */
const UNAVAILABLE: readonly (readonly [code: string | undefined, message: string])[] = [
  ['ECONNREFUSED', 'connect ECONNREFUSED 10.1.2.3:5432'],
  ['ENETUNREACH', 'connect ENETUNREACH 10.1.2.3:5432'],
  ['EMFILE', 'too many open files'],
  ['08006', 'connection failure'],
  ['25006', 'cannot execute INSERT in a read-only transaction'],
  ['25P02', 'current transaction is aborted'],
  ['25P03', 'terminating connection due to idle-in-transaction timeout'],
  ['28P01', 'password authentication failed'],
  ['3D000', 'database does not exist'],
  ['40001', 'could not serialize access'],
  ['40P01', 'deadlock detected'],
  ['53100', 'could not extend file: No space left on device'],
  ['53300', 'sorry, too many clients already'],
  ['55P03', 'canceling statement due to lock timeout'],
  ['57014', 'canceling statement due to statement timeout'],
  ['57P01', 'terminating connection due to administrator command'],
  ['58030', 'could not read block: Input/output error'],
  ['SQLITE_BUSY', 'database is locked'],
  ['SQLITE_BUSY_SNAPSHOT', 'database is locked'],
  ['SQLITE_CANTOPEN', 'unable to open database file'],
  ['SQLITE_FULL', 'database or disk is full'],
  ['SQLITE_IOERR_WRITE', 'disk I/O error'],
  ['SQLITE_READONLY_DBMOVED', 'attempt to write a readonly database'],
  [undefined, 'Connection terminated unexpectedly'],
  [undefined, 'timeout exceeded when trying to connect'],
  [undefined, 'Client has encountered a connection error and is not queryable'],
  [undefined, 'Cannot use a pool after calling end on the pool'],
  [undefined, 'Query runner already released. Cannot run queries anymore.'],
];
/** Faults of the application, which a repeated request meets again. */
const FAULTS: typeof UNAVAILABLE = [
  ['42601', 'syntax error'],
  ['42501', 'permission denied'],
  ['23505', 'duplicate key'],
  ['XX001', 'invalid page'],
  ['SQLITE_ERROR', 'syntax error'],
  ['SQLITE_CORRUPT', 'database disk image is malformed'],
  ['SQLITE_CONSTRAINT_UNIQUE', 'UNIQUE constraint failed'],
];

const errorOf = ([code, message]: (typeof UNAVAILABLE)[number]) =>
  Object.assign(new Error(message), code && { code });

@Controller('outage')
@Public()
class Outage {
  @Get(':list/:index') fail(@Param('list') list: string, @Param('index') index: string) {
    throw errorOf((list === 'unavailable' ? UNAVAILABLE : FAULTS)[Number(index)]!);
  }
}

describe('a database outage', () => {
  let booted: Booted;
  /** Distinguishes this server's connections from those of other tests. */
  const name = `outage-${randomUUID()}`;
  beforeAll(async () => {
    process.env['PGAPPNAME'] = name;
    booted = await boot({ controllers: [Outage] });
  });
  afterAll(async () => {
    delete process.env['PGAPPNAME'];
    await booted.close();
  });

  const get = async (path: string) => {
    const { status, headers, body } = await client(booted.origin).get(path);
    expect(JSON.stringify(body)).not.toContain('10.1.2.3');
    return [status, body.code, headers.get('retry-after')];
  };
  const expectUnavailable = ({ status, headers, body }: TestResponse) =>
    expect([status, body.code, headers.get('retry-after')]).toEqual([503, 'service_unavailable', '1']);
  const bob = as({ id: 'bob', roles: ['editor'] });
  const create = (running = booted, title = 'a draft') =>
    client(running.origin, bob).post('/documents', { title });
  const ready = (running = booted) => client(running.origin).get('/health/ready');

  it.each(UNAVAILABLE.map(([code = 'no code', message], i) => ({ code, message, i })))(
    'is 503 with Retry-After and without details: $code, $message',
    async ({ i }) => {
      expect(await get(`/outage/unavailable/${i}`)).toEqual([503, 'service_unavailable', '1']);
    },
  );

  it.each(FAULTS.map(([code = 'no code', message], i) => ({ code, message, i })))(
    'is not a fault of the application, which is 500: $code, $message',
    async ({ i }) => {
      expect(await get(`/outage/fault/${i}`)).toEqual([500, 'internal_error', null]);
    },
  );

  describe('while no query succeeds', () => {
    /** Makes the driver fail every query. */
    const failing = async (work: () => Promise<void>) => {
      const spies = postgres ? [failingClient()] : failingStatements();
      try {
        await work();
      } finally {
        for (const spy of spies) spy.mockRestore();
      }
    };
    const failingClient = () =>
      jest.spyOn(Client.prototype, 'query').mockImplementation((...[, , callback]: unknown[]) => {
        const error = errorOf(['57P03', 'the database system is starting up']);
        if (typeof callback === 'function') return void setImmediate(() => void callback(error));
        return Promise.reject(error);
      });
    const failingStatements = () => {
      const { databaseConnection } = booted.db.driver as BetterSqlite3Driver;
      const statement = Object.getPrototypeOf(databaseConnection.prepare('SELECT 1')) as Record<
        'all' | 'get' | 'run',
        () => unknown
      >;
      return (['all', 'get', 'run'] as const).map((method) =>
        jest.spyOn(statement, method).mockImplementation(() => {
          throw errorOf(['SQLITE_IOERR', 'disk I/O error']);
        }),
      );
    };

    it.each(contracts)(
      'a credential of $name is neither accepted nor called invalid',
      async ({ name, issue, unknown }) => {
        const valid = await issue(booted, 'bob');
        await failing(async () => {
          const response = await send(valid, `${booted.origin}/demo/${name}`);
          expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1']);
          expect([401, 503]).toContain((await client(booted.origin, unknown).get(`/demo/${name}`)).status);
        });
        expect((await send(await issue(booted, 'bob'), `${booted.origin}/demo/${name}`)).status).toBe(200);
      },
    );

    it('the authorization server responds 503', async () => {
      await client(booted.origin).get('/oidc/jwks');
      await failing(async () => {
        for (const [path, form] of [
          ['/oidc/token', 'grant_type=client_credentials&client_id=a&client_secret=b'],
          ['/oidc/device/auth', 'client_id=a'],
        ] as const) {
          const response = await fetch(booted.origin + path, {
            method: 'POST',
            headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
            body: form,
          });
          expect([path, response.status, response.headers.get('retry-after')]).toEqual([path, 503, '1']);
        }
      });
    });

    it.each(['auth?client_id=a', 'auth?client_id=a&redirect_uri=https://a.example', 'session/end', 'device'])(
      'the page /oidc/%s of the authorization server responds 503',
      async (page) => {
        await client(booted.origin).get('/oidc/jwks');
        await failing(async () => {
          const response = await fetch(`${booted.origin}/oidc/${page}`, { headers: { Accept: 'text/html' } });
          expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1']);
        });
      },
    );
  });
  if (postgres) {
    it('replaces connections that the database ended, and accepts no revoked credential meanwhile', async () => {
      const [contract] = await allContracts();
      const credential = await contract!.issue(booted, 'bob');
      const call = async () => (await send(credential, `${booted.origin}/me`)).status;
      expect(await call()).toBe(200);
      const admin = new Client({ connectionString: postgres });
      await admin.connect();
      const endConnections = () =>
        admin.query(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
           WHERE pid <> pg_backend_pid() AND application_name = $1`,
          [name],
        );
      for (let round = 0; round < 5; round++) {
        const statuses = Promise.all(Array.from({ length: 20 }, call));
        await endConnections();
        for (const status of await statuses) expect([200, 503]).toContain(status);
      }
      await credential.revoke();
      for (const status of await Promise.all(Array.from({ length: 20 }, call)))
        expect([401, 503]).toContain(status);
      await admin.end();
    });

    it('is 503 after the connection was lost inside a transaction', async () => {
      const lost = booted.db.transaction(async (manager) => {
        await manager.query('SELECT pg_terminate_backend(pg_backend_pid())').catch(() => {});
        await manager.query('SELECT 1');
      });
      expect(await lost.catch(isDatabaseUnavailable)).toBe(true);
    });

    it.each([
      ['a lock timeout', "SET LOCAL lock_timeout = '10ms'"],
      ['a statement timeout', "SET LOCAL statement_timeout = '10ms'"],
    ])('is 503 after %s', async (_, setting) => {
      const holder = booted.db.createQueryRunner();
      await holder.startTransaction();
      await holder.query('LOCK TABLE documents');
      const waiting = booted.db.transaction(async (manager) => {
        await manager.query(setting);
        await manager.query('SELECT * FROM documents');
      });
      expect(await waiting.catch(isDatabaseUnavailable)).toBe(true);
      await holder.rollbackTransaction();
      await holder.release();
    });

    it('is 503 after a serialization failure', async () => {
      const read = (manager: EntityManager) => manager.query('SELECT * FROM audit_head');
      const write = (manager: EntityManager) => manager.query('UPDATE audit_head SET id = id');
      const failed = booted.db.transaction('SERIALIZABLE', async (manager) => {
        await read(manager);
        await write(booted.db.manager);
        await write(manager);
      });
      expect(await failed.catch(isDatabaseUnavailable)).toBe(true);
    });

    it('responds 503 to writes and reports not ready while the database is read-only, as after a failover', async () => {
      const database = await ownDatabase();
      const running = await boot({ env: database.env });
      expect([(await create(running)).status, (await ready(running)).status]).toEqual([201, 200]);
      const becomes = async (value: 'on' | 'off') => {
        await database.run(`ALTER DATABASE ${database.name} SET default_transaction_read_only = ${value}`);
        await database.run(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${database.name}'`,
        );
        // The pool notices ended connections when it uses them.
        await Promise.all(Array.from({ length: 20 }, () => client(running.origin, bob).get('/documents')));
      };
      await becomes('on');
      expectUnavailable(await create(running));
      await untilReady(running, 503);
      expect((await client(running.origin, bob).get('/documents')).status).toBe(200);
      await becomes('off');
      expect((await create(running)).status).toBe(201);
      await untilReady(running, 200);
      await running.close();
      await database.drop();
    });

    it('responds 503 and reports not ready while all connections are in use', async () => {
      const held = await Promise.all(
        Array.from({ length: 10 }, async () => {
          const runner = booted.db.createQueryRunner();
          await runner.connect();
          return runner;
        }),
      );
      const anonymous = client(booted.origin);
      const [ready, live] = await Promise.all([
        anonymous.get('/health/ready'),
        anonymous.get('/health/live'),
      ]);
      expect([ready.status, live.status]).toEqual([503, 200]);
      const [contract] = await allContracts();
      const waiting = await anonymous.get(`/demo/${contract!.name}`, contract!.unknown);
      expect([waiting.status, waiting.body.code]).toEqual([503, 'service_unavailable']);
      for (const runner of held) await runner.release();
      expect((await anonymous.get('/health/ready')).status).toBe(200);
    });
  } else {
    const connect = (file: string) => new DataSource({ type: 'better-sqlite3', database: file }).initialize();
    /** An application on a file, which other connections can use. */
    const withFile = async (work: (running: Booted, file: string) => Promise<void>) => {
      const folder = mkdtempSync(join(tmpdir(), 'atlas-outage-'));
      const running = await boot({ env: { DATA_DIR: folder } });
      try {
        await work(running, join(folder, 'atlas.sqlite'));
      } finally {
        await running.close();
        rmSync(folder, { recursive: true });
      }
    };

    it('responds 503 to writes and reports not ready while the disk is full', () =>
      withFile(async (running) => {
        const [{ page_count: pages }] = await running.db.query<[{ page_count: number }]>('PRAGMA page_count');
        await running.db.query(`PRAGMA max_page_count = ${pages}`);
        const large = 'x'.repeat(16_000);
        expectUnavailable(
          await client(running.origin, bob).post('/documents', { title: 'a draft', body: large }),
        );
        await untilReady(running, 503);
        expect((await client(running.origin, bob).get('/documents')).status).toBe(200);
        await running.db.query('PRAGMA max_page_count = 1000000');
        expect((await create(running)).status).toBe(201);
        await untilReady(running, 200);
      }));

    it('responds 503 to writes and reports not ready while the file is read-only', () =>
      withFile(async (running) => {
        await running.db.query('PRAGMA query_only = ON');
        expectUnavailable(await create(running));
        await untilReady(running, 503);
        expect((await client(running.origin, bob).get('/documents')).status).toBe(200);
        await running.db.query('PRAGMA query_only = OFF');
        expect((await create(running)).status).toBe(201);
      }));

    it('reports not ready while the file is deleted or moved', () =>
      withFile(async (running, file) => {
        renameSync(file, `${file}.moved`);
        await untilReady(running, 503);
        renameSync(`${file}.moved`, file);
        await untilReady(running, 200);
      }));

    it('waits for the write lock of another process, and serves readers meanwhile', () =>
      withFile(async (running, file) => {
        const other = await connect(file);
        await other.query('BEGIN IMMEDIATE');
        // This process holds the other lock, too: a wait that blocked the event loop would never end.
        const writes = [create(running), running.db.manager.insert(Tenant, { id: 'new', name: 'New' })];
        expect((await client(running.origin, bob).get('/documents')).status).toBe(200);
        await other.query('COMMIT');
        await Promise.all(writes);
        expect((await (writes[0] as Promise<TestResponse>)).status).toBe(201);
        expect(await running.db.manager.existsBy(Tenant, { id: 'new' })).toBe(true);
        await other.destroy();
      }));

    it('responds 503 to each of many writes if another process keeps the write lock for five seconds', () =>
      withFile(async (running, file) => {
        const other = await connect(file);
        await other.query('BEGIN IMMEDIATE');
        const writes = Array.from({ length: 20 }, () => create(running));
        expectUnavailable(await ready(running));
        for (const response of await Promise.all(writes)) expectUnavailable(response);
        await other.query('COMMIT');
        await other.destroy();
        expect((await create(running)).status).toBe(201);
        await untilReady(running, 200);
      }));
  }

  it('cannot be caused by asking whether the process is ready: requests share writes, and nothing stays', async () => {
    const query = jest.spyOn(booted.db.manager, 'insert');
    const responses = await Promise.all(Array.from({ length: 50 }, () => ready()));
    expect(new Set(responses.map(({ status }) => status))).toEqual(new Set([200]));
    expect(query.mock.calls.length).toBeLessThan(25);
    query.mockRestore();
    expect(await booted.db.manager.count(WriteCheckRow)).toBe(0);
  });

  /** The result of a check is kept for a moment. */
  const untilReady = async (running: Booted, status: number) => {
    while ((await ready(running)).status !== status) await setTimeout(50);
  };
});
