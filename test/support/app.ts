import type { INestApplication, Type } from '@nestjs/common';
import { Injectable, Module } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { Strategy } from 'passport-custom';
import { Client } from 'pg';
import type { DestinationStream } from 'pino';
import { DataSource } from 'typeorm';
import { createApp } from '../../src/app.js';
import { INSTALLED_METHODS } from '../../src/app.module.js';
import { Challenge } from '../../src/authentication/challenge.js';
import type { AuthMethod, AuthStrategy } from '../../src/authentication/method.js';
import type { AuthRequest } from '../../src/authentication/request.js';
import type { Principal } from '../../src/authentication/principal.js';
import { Settings } from '../../src/config/settings.js';

declare module '../../src/authentication/principal.js' {
  interface AuthMethods {
    test: true;
  }
}

/** Signs in as any principal that a test can write down: for tests that are about permission, not about proof. */
@Injectable()
class TestStrategy extends PassportStrategy(Strategy, 'test') implements AuthStrategy {
  readonly challenge = new Challenge('Test');
  claims = (request: AuthRequest) => request.header('X-Test-Principal') !== undefined;

  validate(request: AuthRequest): Principal {
    const text = decodeURIComponent(request.header('X-Test-Principal') ?? '');
    return JSON.parse(text, (key, value: unknown) =>
      key === 'at' ? new Date(value as string) : value,
    ) as Principal;
  }
}

@Module({ providers: [TestStrategy] })
class TestModule {}

export const testMethod: AuthMethod = { name: 'test', module: TestModule, strategy: TestStrategy };

/** The headers that make the request come from this principal. */
export const as = (principal: Partial<Principal> & Pick<Principal, 'id'>): Record<string, string> => ({
  'X-Test-Principal': encodeURIComponent(
    JSON.stringify({
      kind: 'user',
      tenantId: 'acme',
      roles: [],
      proofs: [{ method: 'test', at: new Date(), amr: ['pwd'], bound: false }],
      ...principal,
    }),
  ),
});

/** Settings under which tests that are about something else may ask as much as they like, all from one address. */
export const UNLIMITED = {
  RATE_LIMIT_PER_ADDRESS: '999999999',
  RATE_LIMIT_PER_CREDENTIAL: '999999999',
  RATE_LIMIT_BAD_CREDENTIALS: '999999999',
};

export interface Booted {
  readonly app: INestApplication;
  readonly origin: string;
  readonly db: DataSource;
  readonly close: () => Promise<void>;
}

/**
 * The whole application, listening on a free port, on an empty database with the demo in it: SQLite in memory, or
 * a schema of its own in the PostgreSQL of `DATABASE_URL`.
 */
export async function boot(
  options: {
    env?: Record<string, string>;
    methods?: readonly AuthMethod[];
    also?: readonly Type[];
    logTo?: DestinationStream;
    /** Whether `PUBLIC_URL` is the very origin it listens on, for what hands out whole addresses. */
    known?: boolean;
  } = {},
): Promise<Booted> {
  const database = await freshDatabase();
  const known = options.known ? await freePort() : 0;
  const settings = Settings.from({
    NODE_ENV: 'test',
    PORT: '0',
    DATA_DIR: ':memory:',
    TLS_PORT: '0',
    HTTP_ADAPTER: process.env['HTTP_ADAPTER'],
    ...UNLIMITED,
    ...(known && { PUBLIC_URL: `http://localhost:${known}` }),
    ...database.env,
    ...options.env,
  });
  const app = await createApp(
    settings,
    options.methods ?? [...INSTALLED_METHODS, testMethod],
    options.also,
    options.logTo,
  );
  const close = async () => {
    await app.close();
    await database.drop();
  };
  try {
    await app.listen(known, '127.0.0.1');
  } catch (error) {
    await close();
    throw error;
  }
  const { port } = app.getHttpServer().address() as AddressInfo;
  return {
    app,
    origin: known ? `http://localhost:${known}` : `http://127.0.0.1:${port}`,
    db: app.get(DataSource),
    close,
  };
}

/** A port that nobody listens on. */
export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  await new Promise((closed) => probe.close(closed));
  return port;
}

export async function freshDatabase(): Promise<{ env: Record<string, string>; drop: () => Promise<void> }> {
  const url = process.env['DATABASE_URL'];
  if (!url) return { env: {}, drop: async () => {} };
  const schema = `test_${randomUUID().replaceAll('-', '')}`;
  const run = async (sql: string) => {
    const client = new Client({ connectionString: url });
    await client.connect();
    await client.query(sql).finally(() => client.end());
  };
  await run(`CREATE SCHEMA ${schema}`);
  const own = new URL(url);
  own.searchParams.set('options', `-c search_path=${schema}`);
  return { env: { DATABASE_URL: own.href }, drop: () => run(`DROP SCHEMA ${schema} CASCADE`) };
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** The body, parsed where it is JSON. */
  // oxlint-disable-next-line typescript/no-explicit-any -- a test asserts on whatever came
  readonly body: any;
}

/** A caller over a real socket. `send` speaks HTTP as it should be, `raw` sends the bytes it is given. */
export function client(origin: string, headers: Record<string, string> = {}) {
  const send = async (
    method: string,
    path: string,
    init: { body?: unknown; headers?: Record<string, string> } = {},
  ): Promise<Answer> => {
    const response = await fetch(origin + path, {
      method,
      redirect: 'manual',
      headers: {
        ...headers,
        ...(init.body !== undefined && { 'Content-Type': 'application/json' }),
        ...init.headers,
      },
      ...(init.body !== undefined && {
        body: typeof init.body === 'string' ? init.body : JSON.stringify(init.body),
      }),
    });
    const text = await response.text();
    const json = /json/.test(response.headers.get('content-type') ?? '');
    return {
      status: response.status,
      headers: response.headers,
      body: json && text ? JSON.parse(text) : text,
    };
  };
  return {
    send,
    get: (path: string, more?: Record<string, string>) => send('GET', path, more && { headers: more }),
    post: (path: string, body?: unknown, more?: Record<string, string>) =>
      send('POST', path, { body, ...(more && { headers: more }) }),
    /** Sends lines, each ended by CRLF, and gives back all that the server says before it closes. */
    raw: (...lines: readonly string[]): Promise<string> => {
      const { hostname, port } = new URL(origin);
      return new Promise((resolve, reject) => {
        let answer = '';
        const socket = connect(Number(port), hostname, () => socket.write(`${lines.join('\r\n')}\r\n`));
        socket.setEncoding('utf8');
        socket.on('data', (chunk: string) => (answer += chunk));
        socket.on('close', () => resolve(answer));
        socket.on('error', reject);
      });
    },
  };
}
