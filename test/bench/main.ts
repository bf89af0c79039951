import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Load, Measurement } from './load.js';
import { measureRejections, reportRejections } from './rejections.js';
import { report, type Result, type Table } from './report.js';
import type { Ready, ServerOptions, SigningRequest } from './server.js';

const ROUNDS = 18;
const SECONDS_PER_LOAD = 0.5;
const FEW_ROWS = 1_000;
const MANY_ROWS = 1_000_000;
const PAGE = 'docs/explanation/performance.md';
/** The methods that sign each request anew. */
const SIGNING_METHODS = ['digest', 'dpop', 'hmac', 'http-signature', 'sigv4', 'webhook'];
/** A client of the demo and its published secret. */
const CLIENT = 'machine';
const CLIENT_SECRET = 'machine-demo-secret-0123456789abcdef';
/** The parts of the page between two markers. */
const FIGURES = /(?<=<!-- figures -->\n)[^]*(?=<!-- end of the figures -->)/;
const REJECTIONS = /(?<=<!-- rejections -->\n)[^]*(?=<!-- end of the rejections -->)/;

const MACHINE = `${cpus()[0]?.model.trim()}, Node ${process.versions.node}`;

const here = (file: string) => fileURLToPath(new URL(file, import.meta.url));
const children: ChildProcess[] = [];

/** Starts a script, pinned to one core on Linux. */
function start(script: string, core: number, args: string[] = [], env: NodeJS.ProcessEnv = {}): ChildProcess {
  const pinned = process.platform === 'linux';
  const child = fork(here(script), args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    ...(pinned && { execPath: 'taskset', execArgv: ['-c', String(core), process.execPath] }),
  });
  children.push(child);
  return child;
}

/** The next message of a child process. */
function nextMessage<T extends object>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    const ended = (code: number | null) =>
      reject(new Error(`${child.spawnargs.join(' ')} ended with ${code}`));
    child.once('exit', ended);
    child.once('message', (message: T | { failed: string }) => {
      child.off('exit', ended);
      if ('failed' in message) reject(new Error(message.failed));
      else resolve(message);
    });
  });
}

interface Target {
  readonly name: string;
  readonly load: Omit<Load, 'seconds'>;
  /** The method and the server that sign the requests, just before they are sent. */
  readonly signed?: { readonly method: string; readonly server: ChildProcess };
}

/** The number of requests signed for one load, more than any route serves in that time. */
const SIGNED_PER_LOAD = 5_000;

/**
 * Loads the targets one after the other, in several rounds, so that other work of the machine affects all of them. Ratios are relative to the
 * first target of the same round. All figures are medians of the rounds.
 */
async function measure(loader: ChildProcess, title: string, targets: readonly Target[]): Promise<Table> {
  const rounds = new Map<string, Measurement[]>(targets.map(({ name }) => [name, []]));
  for (let round = -1; round < ROUNDS; round++)
    for (const { name, load, signed } of targets) {
      const headers = signed ? await sign(signed, { ...load, count: SIGNED_PER_LOAD }) : load.headers;
      loader.send({ ...load, headers, seconds: SECONDS_PER_LOAD } satisfies Load);
      const measurement = await nextMessage<Measurement>(loader);
      // Round -1 warms up.
      if (round >= 0) rounds.get(name)!.push(measurement);
    }
  const [base] = rounds.values() as Iterable<Measurement[]>;
  return { title, results: [...rounds].map(([name, all]) => resultOf(name, all, base!)) };
}

async function sign(
  { method, server }: NonNullable<Target['signed']>,
  { url, body, count }: Omit<Load, 'seconds'> & { readonly count: number },
): Promise<Load['headers']> {
  server.send({ method, url, count, ...(body !== undefined && { body }) } satisfies SigningRequest);
  return (await nextMessage<{ headers: Load['headers'] }>(server)).headers;
}

function resultOf(name: string, all: readonly Measurement[], base: readonly Measurement[]): Result {
  const of = (key: keyof Measurement) => median(all.map((each) => each[key]));
  const ratio = median(all.map((each, i) => each.perSecond / base[i]!.perSecond));
  return {
    name,
    perSecond: of('perSecond'),
    p50: of('p50'),
    p99: of('p99'),
    ratio,
  };
}

const median = (all: readonly number[]): number => all.toSorted((a, b) => a - b)[all.length >> 1]!;

const folder = mkdtempSync(join(tmpdir(), 'atlas-bench-'));

async function serve(name: string, options: ServerOptions): Promise<Ready & { server: ChildProcess }> {
  const env = { NODE_ENV: 'development', DATA_DIR: join(folder, name) };
  const server = start('server.js', 0, [JSON.stringify(options)], env);
  return { ...(await nextMessage<Ready>(server)), server };
}

async function main(): Promise<void> {
  const loader = start('load.js', 1);
  const ready = await serve('few', { documents: FEW_ROWS, many: { 'api-key': 100_000, jwt: 15_000 } });
  const to = (path: string, ...headers: Load['headers'][number][]): Omit<Load, 'seconds'> => ({
    url: ready.origin + path,
    headers: headers.length ? headers : [{}],
  });
  const methods = await measure(loader, 'GET /demo/<method>', [
    { name: 'open', load: to('/unguarded/demo') },
    ...Object.entries(ready.reusable)
      .filter(([name]) => name !== 'api-key')
      .map(([name, headers]) => ({ name, load: to(`/demo/${name.split(',')[0]!}`, headers) })),
    { name: 'api-key, 100,000 at random', load: to('/demo/api-key', ...ready.many['api-key']!) },
    { name: 'jwt, first seen', load: to('/demo/jwt', ...ready.many['jwt']!) },
    {
      name: "passport-jwt as in Nest's documentation",
      load: to('/passport-jwt', { Authorization: `Bearer ${ready.baselineToken}` }),
    },
  ]);

  const signed = await measure(loader, 'GET /demo/<method>, each request signed anew', [
    { name: 'open', load: to('/unguarded/demo') },
    ...SIGNING_METHODS.map((method) => ({
      name: method,
      load: to(`/demo/${method}`),
      signed: { method, server: ready.server },
    })),
  ]);
  const body = JSON.stringify({ title: 'A signed body', body: 'x'.repeat(200) });
  const json = { 'Content-Type': 'application/json' };
  const posts = await measure(loader, 'POST of 250 bytes', [
    { name: 'open', load: { ...to('/unguarded/demo', json), body } },
    ...['hmac', 'http-signature'].map((method) => ({
      name: method,
      load: { ...to('/signed-in/demo'), body },
      signed: { method, server: ready.server },
    })),
  ]);
  const { origin, options } = ready.tls!;
  const overTls = await measure(loader, 'GET over TLS, keep-alive', [
    { name: 'open', load: { url: `${origin}/unguarded/demo`, headers: [{}], tls: { ca: options.ca } } },
    {
      name: 'open, with a certificate',
      load: { url: `${origin}/unguarded/demo`, headers: [{}], tls: options },
    },
    { name: 'mtls', load: { url: `${origin}/demo/mtls`, headers: [{}], tls: options } },
    {
      name: 'basic',
      load: { url: `${origin}/demo/basic`, headers: [ready.reusable['basic']!], tls: { ca: options.ca } },
    },
  ]);

  const baseline = await nextMessage<{ origin: string }>(start('oidc-provider.js', 0, [CLIENT_SECRET]));
  const tokenRequest = {
    headers: [
      {
        Authorization: `Basic ${Buffer.from(`${CLIENT}:${CLIENT_SECRET}`).toString('base64')}`,
        'Content-Type': 'application/x-www-form-urlencoded',
      },
    ],
    body: 'grant_type=client_credentials&scope=documents%3Aread',
  };
  const tokens = await measure(loader, 'POST of client credentials, for a token', [
    { name: 'oidc-provider alone, in memory', load: { url: `${baseline.origin}/token`, ...tokenRequest } },
    { name: 'POST /oidc/token', load: { url: `${ready.origin}/oidc/token`, ...tokenRequest } },
  ]);

  const many = await serve('many', { documents: MANY_ROWS, many: { 'api-key': MANY_ROWS } });
  const session = ready.reusable['session']!;
  const pages = await measure(loader, 'GET /documents, 20 of 1,000', [
    { name: 'same SQL, open', load: to('/unguarded/documents') },
    { name: 'same SQL, authenticated', load: to('/signed-in/documents', session) },
    { name: 'session', load: to('/documents', session) },
  ]);
  const sizes = await measure(loader, 'A page, by the number of rows', [
    { name: '1,000 documents', load: to('/documents', session) },
    {
      name: '1,000,000 documents',
      load: { url: `${many.origin}/documents`, headers: [many.reusable['session']!] },
    },
    {
      name: '1,000,000 documents, owner of a tenth',
      load: { url: `${many.origin}/documents?ownerId=bob`, headers: [many.reusable['session']!] },
    },
  ]);
  const keys = await measure(loader, 'An API key, by the number of keys', [
    { name: '1,000 keys', load: to('/demo/api-key', ...ready.many['api-key']!.slice(0, 1_000)) },
    {
      name: '1,000,000 keys',
      load: { url: `${many.origin}/demo/api-key`, headers: many.many['api-key']!.slice(0, 100_000) },
    },
  ]);

  const text = report([methods, signed, posts, overTls, tokens, pages, sizes, keys], MACHINE, new Date());
  publish(FIGURES, text);
}

/** Prints figures, and writes them into their part of the page. */
function publish(part: RegExp, text: string): void {
  process.stdout.write(text);
  const page = readFileSync(PAGE, 'utf8');
  writeFileSync(PAGE, page.replace(part, `\n${text}\n`));
}

async function rejections(): Promise<void> {
  const { server, ...ready } = await serve('rejections', { documents: 0, many: {} });
  publish(
    REJECTIONS,
    reportRejections(await measureRejections(ready, server, nextMessage), MACHINE, new Date()),
  );
}

try {
  await rejections();
  if (process.argv[2] !== 'rejections') await main();
} finally {
  for (const child of children) if (child.connected) child.disconnect();
  await Promise.all(children.filter((child) => child.exitCode === null).map((child) => once(child, 'exit')));
  rmSync(folder, { recursive: true, force: true });
}
