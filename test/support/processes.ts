import type { INestApplication } from '@nestjs/common';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataSource } from 'typeorm';
import { createApp } from '../../src/app.js';
import { Settings } from '../../src/config/settings.js';
import { UNLIMITED, freshDatabase } from './app.js';

/** A server in a process of its own, as `npm start` starts it. */
export class Server {
  readonly exit: Promise<number | null>;
  out = '';
  private written = '';

  constructor(private readonly child: ChildProcess) {
    child.stdout!.setEncoding('utf8').on('data', (text: string) => (this.out += text));
    child.stderr!.setEncoding('utf8').on('data', (text: string) => (this.written += text));
    this.exit = once(child, 'close').then(([code]) => code as number | null);
  }

  /** What it has written to standard error, but for the word that the engine of OAuth has about Node below 22. */
  get errors(): string {
    return this.written.replace(/^oidc-provider WARNING: Unsupported runtime\..*\n/, '');
  }

  /**
   * Starts the built application on a free port; it says later which, see {@link origin}.
   * @param env its whole environment, but for what finds Node and the HTTP adapter under test
   * @param command another program of those that are built, with its words
   */
  static start(
    env: Readonly<Record<string, string | undefined>>,
    command: readonly string[] = ['dist/main.js'],
  ): Server {
    if (!existsSync('dist/main.js')) throw new Error('dist/main.js is missing: npm run build');
    const { PATH, HTTP_ADAPTER } = process.env;
    return new Server(
      spawn(process.execPath, [...command], {
        env: { PATH, ...(HTTP_ADAPTER && { HTTP_ADAPTER }), PORT: '0', TLS_PORT: '0', ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
    );
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

  /** Waits until it listens. */
  origin = () =>
    this.says(/listens on (http:\/\/localhost:\d+)/).then((at) => at.replace('localhost', '127.0.0.1'));
  signal = (name: NodeJS.Signals) => this.child.kill(name);

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    this.signal(signal);
    await this.exit;
  }
}

export interface Processes {
  /** Where each of the servers answers. */
  readonly origins: string[];
  readonly servers: readonly Server[];
  /** The application once more, in the test's own process and without a port. */
  readonly app: INestApplication;
  /** Its data source: what a test changes here, yet another process has changed. */
  readonly db: DataSource;
  /** Kills one of the servers as it is, and starts it again. */
  readonly crash: (index: number) => Promise<void>;
  readonly stop: () => Promise<void>;
}

/**
 * So many servers with the demo, on one new database: a file of SQLite in a temporary folder, or a schema of its own
 * in the PostgreSQL of `DATABASE_URL`.
 * @param env settings of the servers besides those
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
    DATA_DIR: folder,
    ...UNLIMITED,
    ...database.env,
    ...env,
  };
  try {
    // The first makes the tables and the demo; on SQLite two at once would get in each other's way.
    app = await (await createApp(Settings.from(all))).init();
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
