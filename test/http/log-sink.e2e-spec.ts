import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { execFileSync, spawn } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { LogSink } from '../../src/http/log-sink.js';
import { UNLIMITED, client, freshDatabase } from '../support/app.js';
import { freePort } from '../support/free-port.js';
import { Server } from '../support/processes.js';

const folder = mkdtempSync(join(tmpdir(), 'atlas-log-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Other systems have no /dev/full, and another `script`. */
const onLinux = process.platform === 'linux' ? it : it.skip;
const MEBIBYTE = 1024 * 1024;
let pipes = 0;

/** A named pipe: its reader can stop reading, close the pipe, and open it again. */
class Pipe {
  private readonly path = join(folder, `pipe-${pipes++}`);
  private reader: number | undefined;
  readonly writer: number;
  private text = '';

  constructor() {
    execFileSync('mkfifo', [this.path]);
    this.openReader();
    this.writer = openSync(this.path, constants.O_WRONLY | constants.O_NONBLOCK);
  }

  openReader(): void {
    this.reader = openSync(this.path, constants.O_RDONLY | constants.O_NONBLOCK);
  }

  closeReader(): void {
    if (this.reader !== undefined) closeSync(this.reader);
    this.reader = undefined;
  }

  /** Reads until the text satisfies a condition. */
  async readUntil(isEnough: (text: string) => boolean): Promise<void> {
    const bytes = Buffer.alloc(MEBIBYTE);
    for (;;) {
      try {
        this.text += bytes.toString('utf8', 0, readSync(this.reader!, bytes));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      }
      if (isEnough(this.text)) return;
      await setTimeout(1);
    }
  }

  read = (pattern: RegExp) => this.readUntil((text) => pattern.test(text));
  /** The lines that were read. */
  lines = () => this.text.split('\n').filter(Boolean);

  close(): void {
    this.closeReader();
    closeSync(this.writer);
  }
}

/** On Linux. A process that has ended may stay as a zombie (Z), because `script` waits for the reader of its output. */
function isRunning(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

const REPORT = /"event":"log lines dropped","dropped":[1-9]/;

describe('a log sink', () => {
  const pipe = new Pipe();
  const sink = new LogSink(pipe.writer);
  afterAll(() => pipe.close());
  let count = 0;
  const write = (lines: number) => {
    for (let i = 0; i < lines; i++) sink.write(`{"line":${count++},"text":"${'x'.repeat(1_000)}"}\n`);
  };
  /** The numbers of the lines that were read whole, and the reported sum of the others. */
  const seen = () => {
    const all = pipe.lines().flatMap((line) => {
      try {
        return [JSON.parse(line) as { line?: number; dropped?: number }];
      } catch {
        return [];
      }
    });
    const dropped = all.reduce((sum, line) => sum + (line.dropped ?? 0), 0);
    return { numbers: all.flatMap(({ line }) => line ?? []), dropped };
  };

  const allAccountedFor = () =>
    pipe.readUntil(() => {
      const { numbers, dropped } = seen();
      return numbers.length + dropped === count;
    });

  it('keeps at most a mebibyte for a reader that stops, and reports the number of dropped lines', async () => {
    write(5);
    await pipe.read(/"line":4,.*\n/);
    write(4_000);
    await setImmediate();
    write(4_000);
    await allAccountedFor();
    // One mebibyte was being written, and one waited.
    expect(seen().numbers.length).toBeLessThan(2_200);
    write(1);
    await allAccountedFor();
    expect(seen().numbers.at(-1)).toBe(count - 1);
  });

  it('continues after the reader has closed the pipe and opened it again', async () => {
    const before = seen();
    pipe.closeReader();
    write(10);
    // The write fails in this time.
    await setTimeout(100);
    write(10);
    pipe.openReader();
    await allAccountedFor();
    const { numbers, dropped } = seen();
    expect(dropped).toBeGreaterThan(before.dropped);
    expect(numbers.slice(-10)).toEqual(Array.from({ length: 10 }, (_, i) => count - 10 + i));
  });

  onLinux('neither throws nor ends the process on a full disk', async () => {
    const full = openSync('/dev/full', 'w');
    const sinkOnFullDisk = new LogSink(full);
    for (let i = 0; i < 10_000; i++) sinkOnFullDisk.write(`${'x'.repeat(1_000)}\n`);
    await setTimeout(100);
    sinkOnFullDisk.write('x\n');
  });
});

describe('a process whose log cannot be written', () => {
  const running: Server[] = [];
  let database: Awaited<ReturnType<typeof freshDatabase>>;
  beforeAll(async () => (database = await freshDatabase()));
  afterAll(() => database.drop());
  afterEach(async () => {
    for (const server of running.splice(0)) await server.stop('SIGKILL');
  });

  const respondsAt = async (origin: string) => {
    const isLive = () =>
      fetch(`${origin}/health/live`).then(
        ({ ok }) => ok,
        () => false,
      );
    while (!(await isLive())) await setTimeout(50);
  };
  /** Starts a server and waits until it responds. */
  const start = async (stdout: number) => {
    const port = String(await freePort());
    const env = { DATA_DIR: folder, PORT: port, DEMO: 'true', ...UNLIMITED, ...database.env };
    const server = Server.start(env, undefined, stdout);
    running.push(server);
    const origin = `http://127.0.0.1:${port}`;
    await respondsAt(origin);
    return { server, get: client(origin).get, origin };
  };
  /** Sends requests on one connection without waiting for the responses. */
  const flood = (origin: string, requests: number) =>
    client(origin).raw(
      ...Array.from({ length: requests - 1 }, () => 'GET /health/live HTTP/1.1\r\nHost: localhost\r\n'),
      'GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n',
    );

  onLinux('serves on a full disk, and stops at SIGTERM', async () => {
    const full = openSync('/dev/full', 'w');
    const { server, get, origin } = await start(full);
    closeSync(full);
    await flood(origin, 500);
    // The first write fails in this time, and the second one is tried.
    await setTimeout(1_500);
    await flood(origin, 500);
    expect((await get('/health/ready')).status).toBe(200);
    server.signal('SIGTERM');
    expect(await server.exit).toBe(0);
    expect(server.errors).toBe('');
  });

  it('serves while the pipe is not read, reports the dropped lines later, and stops at SIGTERM', async () => {
    const pipe = new Pipe();
    const { server, get, origin } = await start(pipe.writer);
    for (let i = 0; i < 8; i++) await flood(origin, 1_000);
    expect((await get('/health/ready')).status).toBe(200);
    await pipe.read(REPORT);
    for (let i = 0; i < 3; i++) await flood(origin, 1_000);
    server.signal('SIGTERM');
    expect(await server.exit).toBe(0);
    expect(server.errors).toBe('');
    pipe.close();
  });

  onLinux('serves on a terminal that is stopped, and stops at SIGTERM', async () => {
    const pipe = new Pipe();
    const port = String(await freePort());
    const pidFile = join(folder, 'pid');
    // The pipe has no active reader, so `script` stops reading the terminal.
    const terminal = spawn('script', ['-qec', `echo $$ > ${pidFile}; exec node dist/main.js`, '/dev/null'], {
      env: {
        ...process.env,
        NODE_ENV: 'development',
        DEMO: 'true',
        PORT: port,
        TLS_PORT: '0',
        DATA_DIR: folder,
        ...UNLIMITED,
        ...database.env,
      },
      stdio: ['ignore', pipe.writer, 'ignore'],
    });
    const origin = `http://127.0.0.1:${port}`;
    await respondsAt(origin);
    await flood(origin, 1_000);
    const pid = Number(readFileSync(pidFile, 'utf8'));
    process.kill(pid, 'SIGTERM');
    while (isRunning(pid)) await setTimeout(50);
    terminal.kill('SIGKILL');
    pipe.close();
  });

  it('serves after the reader has closed the pipe, logs again once it is open, and stops at SIGTERM', async () => {
    const pipe = new Pipe();
    const { server, get } = await start(pipe.writer);
    await pipe.read(/listens on/);
    pipe.closeReader();
    expect((await get('/health/live')).status).toBe(200);
    // The line is written, and fails, within a second.
    await setTimeout(1_500);
    expect((await get('/health/live')).status).toBe(200);
    pipe.openReader();
    await get('/health/ready');
    await pipe.read(REPORT);
    await pipe.read(/"route":"\/health\/ready"/);
    pipe.closeReader();
    server.signal('SIGTERM');
    expect(await server.exit).toBe(0);
    expect(server.errors).toBe('');
    pipe.close();
  });
});
