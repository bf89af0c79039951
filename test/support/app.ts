import type { INestApplication, Type } from '@nestjs/common';
import { Injectable, Module } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { randomBytes, randomUUID } from 'node:crypto';
import type { Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { Strategy } from 'passport-custom';
import { Client } from 'pg';
import type { DestinationStream } from 'pino';
import { DataSource } from 'typeorm';
import { createApp } from '../../src/app.js';
import { INSTALLED_METHODS } from '../../src/app.module.js';
import { Challenge } from '../../src/authentication/challenge.js';
import type { AuthMethod, AuthStrategy } from '../../src/authentication/method.js';
import type { AuthRequest } from '../../src/authentication/request.js';
import { OpenApiService } from '../../src/http/openapi.service.js';
import type { Principal } from '../../src/authentication/principal.js';
import { DocumentedResponses } from './documented-responses.js';
import { freePort } from './free-port.js';

declare module '../../src/authentication/principal.js' {
  interface AuthMethods {
    test: true;
  }
}

/** Signs in as any principal, for tests of permissions. */
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

/** The headers that sign a request in as this principal. */
export const as = (principal: Partial<Principal> & Pick<Principal, 'id'>): Record<string, string> => ({
  'X-Test-Principal': encodeURIComponent(
    JSON.stringify({
      kind: 'user',
      tenantId: 'acme',
      roles: [],
      proofs: [{ method: 'test', at: new Date(), amr: ['pwd'], bound: false, signIn: true }],
      ...principal,
    }),
  ),
});

/** Settings without rate limits: tests send many requests from one address. */
export const UNLIMITED = {
  RATE_LIMIT_PER_ADDRESS: '999999999',
  RATE_LIMIT_PER_CREDENTIAL: '999999999',
  RATE_LIMIT_BAD_CREDENTIALS: '999999999',
};

/** An `APP_SECRET` that production accepts. */
export const RANDOM_SECRET = randomBytes(32).toString('base64');

export interface Booted {
  readonly app: INestApplication;
  readonly origin: string;
  readonly db: DataSource;
  /** The environment variables that the application was created with. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly close: () => Promise<void>;
}

export interface BootOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** The installed methods; by default all, and the method of {@link as}. */
  readonly methods?: readonly AuthMethod[];
  /** Controllers in addition to the application's own. */
  readonly controllers?: readonly Type[];
  /** Receives the log lines; without it nothing is logged. */
  readonly logTo?: DestinationStream;
  /** Sets `PUBLIC_URL` to the origin that the server listens on, for clients that check absolute URLs. */
  readonly publicUrlIsOrigin?: boolean;
  /** The address to listen on; by default 127.0.0.1. */
  readonly listenOn?: string;
}

/**
 * Starts the whole application on a free port and an empty database with the demo data: SQLite in memory, or a new schema in the
 * PostgreSQL of `DATABASE_URL`. `close` fails if a response differs from the OpenAPI document.
 */
export async function boot(options: BootOptions = {}): Promise<Booted> {
  const database = await freshDatabase();
  const port = options.publicUrlIsOrigin ? await freePort() : 0;
  const env = {
    NODE_ENV: 'test',
    PORT: '0',
    DATA_DIR: ':memory:',
    TLS_PORT: '0',
    ...(options.env?.['NODE_ENV'] !== 'production' && { DEMO: 'true' }),
    ...(options.env?.['DEMO'] === 'false' && { APP_SECRET: RANDOM_SECRET }),
    HTTP_ADAPTER: process.env['HTTP_ADAPTER'],
    ...UNLIMITED,
    // A test that is busy for five seconds would otherwise use a connection that the server has just closed.
    KEEP_ALIVE_SECONDS: '60',
    ...(port && { PUBLIC_URL: `http://localhost:${port}` }),
    ...database.env,
    ...options.env,
  };
  const app = await withEnvironment(env, () =>
    createApp(options.methods ?? [...INSTALLED_METHODS, testMethod], options.controllers, options.logTo),
  );
  const close = async () => {
    await app.close();
    await database.drop();
  };
  try {
    await app.listen(port, options.listenOn ?? '127.0.0.1');
  } catch (error) {
    await close();
    throw error;
  }
  const responses = new DocumentedResponses(await documentOf(app, options));
  responses.watch(app.getHttpServer() as Server);
  const address = app.getHttpServer().address() as AddressInfo;
  return {
    app,
    origin: port ? `http://localhost:${port}` : `http://127.0.0.1:${address.port}`,
    db: app.get(DataSource),
    env,
    close: async () => {
      await close();
      responses.assertComplete();
    },
  };
}

/** The OpenAPI documents of the installed application, by its environment: building one takes a quarter of a start. */
const documents = new Map<string, string>();

async function documentOf(
  app: INestApplication,
  { methods, controllers, env = {} }: BootOptions,
): Promise<string> {
  const key = methods || controllers ? undefined : JSON.stringify(env);
  const json = (key !== undefined && documents.get(key)) || (await app.get(OpenApiService).json());
  if (key !== undefined) documents.set(key, json);
  return json;
}

let previous: Promise<unknown> = Promise.resolve();

/** Runs `create` with exactly these environment variables. Calls wait for each other, because `process.env` is shared. */
export function withEnvironment<T>(
  env: Readonly<Record<string, string | undefined>>,
  create: () => Promise<T>,
): Promise<T> {
  const result = previous.then(async () => {
    const original = { ...process.env };
    replaceEnvironment(env);
    return create().finally(() => replaceEnvironment(original));
  });
  previous = result.catch(() => {});
  return result;
}

function replaceEnvironment(env: Readonly<Record<string, string | undefined>>): void {
  for (const name of Object.keys(process.env)) delete process.env[name];
  for (const [name, value] of Object.entries(env)) if (value !== undefined) process.env[name] = value;
}

/** The settings of a new database, and the function that drops it: SQLite in memory needs neither. */
export async function freshDatabase(): Promise<{ env: Record<string, string>; drop: () => Promise<void> }> {
  const url = process.env['DATABASE_URL'];
  if (!url) return { env: {}, drop: async () => {} };
  const schema = `test_${randomUUID().replaceAll('-', '')}`;
  await runSql(url, `CREATE SCHEMA ${schema}`);
  const own = new URL(url);
  own.searchParams.set('options', `-c search_path=${schema}`);
  return { env: { DATABASE_URL: own.href }, drop: () => runSql(url, `DROP SCHEMA ${schema} CASCADE`) };
}

export interface OwnDatabase {
  readonly name: string;
  /** The settings of an application on it. */
  readonly env: Record<string, string>;
  /** Runs SQL in the database of `DATABASE_URL`. */
  readonly run: (sql: string) => Promise<void>;
  readonly drop: () => Promise<void>;
}

/** A new database in the PostgreSQL of `DATABASE_URL`, for a test that changes settings of the whole database. */
export async function ownDatabase(): Promise<OwnDatabase> {
  const url = process.env['DATABASE_URL']!;
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  const run = (sql: string) => runSql(url, sql);
  await run(`CREATE DATABASE ${name}`);
  const own = new URL(url);
  own.pathname = name;
  const drop = () => run(`DROP DATABASE ${name} WITH (FORCE)`);
  return { name, env: { DATABASE_URL: own.href }, run, drop };
}

export async function runSql(url: string, sql: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  await client.query(sql).finally(() => client.end());
}

export interface TestResponse {
  readonly status: number;
  readonly headers: Headers;
  /** The parsed body if it is JSON, otherwise its text. */
  // oxlint-disable-next-line typescript/no-explicit-any -- a test asserts its shape
  readonly body: any;
}

/** An HTTP client. `send` and its short forms send a correct request, `raw` sends bytes exactly as given. */
export function client(origin: string, headers: Record<string, string> = {}) {
  const send = async (
    method: string,
    path: string,
    init: { body?: unknown; headers?: Record<string, string> } = {},
  ): Promise<TestResponse> => {
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
    /** Sends lines, each ended by CRLF. @returns all bytes until the server closes the connection */
    raw: (...lines: readonly string[]): Promise<string> => {
      const { hostname, port } = new URL(origin);
      return new Promise((resolve, reject) => {
        let response = '';
        const socket = connect(Number(port), hostname, () => socket.write(`${lines.join('\r\n')}\r\n`));
        socket.setEncoding('utf8');
        socket.on('data', (chunk: string) => (response += chunk));
        socket.on('close', () => resolve(response));
        socket.on('error', reject);
      });
    },
  };
}
