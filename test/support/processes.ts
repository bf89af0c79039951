import type { INestApplication } from '@nestjs/common';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataSource } from 'typeorm';
import { createApp } from '../../src/app.js';
import { UNLIMITED, freshDatabase, withEnvironment } from './app.js';

/** Node 22 and newer keep compiled code here, which shortens the next start. */
const NODE_COMPILE_CACHE = join(tmpdir(), 'atlas-compile-cache');

/** A server in its own process, as `npm start` starts it. */
export class Server {
  readonly exit: Promise<number | null>;
  out = '';
  private written = '';

  constructor(private readonly child: ChildProcess) {
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.out += text));
    child.stderr!.setEncoding('utf8').on('data', (text: string) => (this.written += text));
    this.exit = once(child, 'close').then(([code]) => code as number | null);
  }

  /** Its standard error, without oidc-provider's warning about Node below 22. */
  get errors(): string {
    return this.written.replace(/^oidc-provider WARNING: Unsupported runtime\..*\n/m, '');
  }

  /**
   * Starts the built application on a free port. {@link origin} waits for it.
   * @param env its environment, to which the path of Node and the HTTP adapter under test are added
   * @param command another built program, with its arguments
   * @param stdout a file descriptor instead of {@link out}
   * @param input its standard input
   */
  static start(
    env: Readonly<Record<string, string | undefined>>,
    command: readonly string[] = ['dist/main.js'],
    stdout: 'pipe' | number = 'pipe',
    input: Uint8Array | string = '',
  ): Server {
    if (!existsSync('dist/main.js')) throw new Error('dist/main.js is missing. Run npm run build.');
    const { PATH, HTTP_ADAPTER } = process.env;
    const child = spawn(process.execPath, [...command], {
      env: {
        PATH,
        ...(HTTP_ADAPTER && { HTTP_ADAPTER }),
        PORT: '0',
        TLS_PORT: '0',
        NODE_COMPILE_CACHE,
        ...env,
      },
      stdio: ['pipe', stdout, 'pipe'],
    });
    // A program that ends without reading its input closes it.
    child.stdin!.on('error', () => {}).end(input);
    return new Server(child);
  }

  /** Waits for a text on standard output. */
  async waitForOutput(pattern: RegExp): Promise<string> {
    for (;;) {
      const found = pattern.exec(this.out);
      if (found) return found[1] ?? found[0];
      if (this.child.exitCode !== null) throw new Error(`The server ended: ${this.out}${this.errors}`);
      await Promise.race([once(this.child.stdout!, 'data'), this.exit]);
    }
  }

  /** Waits until it listens. @returns where */
  origin = () =>
    this.waitForOutput(/listens on (http:\/\/localhost:\d+)/).then((at) =>
      at.replace('localhost', '127.0.0.1'),
    );
  signal = (name: NodeJS.Signals) => this.child.kill(name);

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    this.signal(signal);
    await this.exit;
  }
}

export interface Processes {
  /** The origin of each server. */
  readonly origins: string[];
  readonly servers: readonly Server[];
  /** The same application in the test's own process, not listening. */
  readonly app: INestApplication;
  /** Its data source. For the servers, a change through it is a change by another process. */
  readonly db: DataSource;
  /** Kills one of the servers, and starts it again. */
  readonly crash: (index: number) => Promise<void>;
  readonly stop: () => Promise<void>;
}

/**
 * Starts servers with the demo data on one new database: an SQLite file in a temporary folder, or a new schema in the PostgreSQL of
 * `DATABASE_URL`.
 * @param env further settings of the servers
 */
export async function startProcesses(count: number, env: Record<string, string> = {}): Promise<Processes> {
  const folder = mkdtempSync(join(tmpdir(), 'atlas-processes-'));
  const database = await freshDatabase();
  const servers: Server[] = [];
  let app: INestApplication | undefined;
  const stop = async () => {
    await Promise.all(servers.map((server) => server.stop()));
    await app?.close();
    rmSync(folder, { recursive: true });
    await database.drop();
  };
  const all = {
    NODE_ENV: 'test',
    PORT: '0',
    TLS_PORT: '0',
    DEMO: 'true',
    DATA_DIR: folder,
    ...UNLIMITED,
    ...database.env,
    ...env,
  };
  try {
    // Creates the tables and the demo data before the servers start: on SQLite, two migrations at once would fail.
    app = await withEnvironment(all, async () => (await createApp()).init());
    for (let i = 0; i < count; i++) servers.push(Server.start(all));
    const origins = await Promise.all(servers.map((server) => server.origin()));
    const crash = async (index: number) => {
      await servers[index]!.stop('SIGKILL');
      servers[index] = Server.start(all);
      origins[index] = await servers[index].origin();
    };
    return { origins, servers, app, db: app.get(DataSource), crash, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
