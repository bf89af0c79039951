import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createConnection, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import ts from 'typescript';
import { DataSource } from 'typeorm';
import { DEMO_KEY } from '../src/methods/api-key/api-key.demo.js';
import { PAGE, blockOf, lifted } from './support/copies/blank.js';

const execute = promisify(execFile);

/** Installed by the generated application, but not by this project: declarations that suffice for its own tests. */
const STUBS = {
  'vitest/package.json': '{ "type": "module", "exports": { "./*": { "types": "./*.d.ts" } } }',
  'vitest/config.d.ts': 'export function defineConfig(config: object): object;',
  'vitest/globals.d.ts': `
    declare function describe(title: string, body: () => void): void;
    declare function it(title: string, body: () => unknown): void;
    declare function beforeEach(body: () => unknown): void;
    declare function afterEach(body: () => unknown): void;
    declare function expect(actual: unknown): { toBe(expected: unknown): void };`,
  'vite-tsconfig-paths/package.json': '{ "type": "module", "types": "index.d.ts" }',
  'vite-tsconfig-paths/index.d.ts': 'export default function tsconfigPaths(): object;',
  'supertest/package.json': '{ "type": "module", "types": "index.d.ts" }',
  'supertest/index.d.ts': `
    interface Test extends Promise<unknown> { expect(expected: unknown): Test }
    export default function request(server: unknown): { get(path: string): Test };`,
  'supertest/types.d.ts': 'export type App = object;',
};

const page = readFileSync(PAGE, 'utf8');
const listedFiles = /^```text\n(src\/[\s\S]*?)\n```/m.exec(page)![1]!.split('\n');
const listedPackages = /^npm install (.*)$/m.exec(page)![1]!.split(' ');

/** An application of the Nest CLI, in a temporary folder. */
class GeneratedApplication {
  private readonly parent = realpathSync(mkdtempSync(join(tmpdir(), 'atlas-nest-cli-')));
  private readonly folder = join(this.parent, 'app');
  private readonly children: ChildProcess[] = [];

  async generate(): Promise<void> {
    const nest = resolve('node_modules/@nestjs/cli/bin/nest.js');
    const options = ['--skip-install', '--skip-git', '--no-observe', '--package-manager', 'npm'];
    await execute(process.execPath, [nest, 'new', 'app', ...options], { cwd: this.parent });
  }

  /** Links the packages of its own `package.json` and these, and no other. */
  install(packages: readonly string[]): void {
    for (const name of [...this.packages(), ...packages]) {
      const from = resolve('node_modules', name);
      const to = join(this.folder, 'node_modules', name);
      if (!existsSync(from) || existsSync(to)) continue;
      mkdirSync(dirname(to), { recursive: true });
      symlinkSync(from, to);
    }
    for (const [file, text] of Object.entries(STUBS)) this.write(join('node_modules', file), text);
  }

  packages(): string[] {
    const { dependencies, devDependencies } = JSON.parse(this.read('package.json')) as Record<
      'dependencies' | 'devDependencies',
      object
    >;
    return Object.keys({ ...dependencies, ...devDependencies });
  }

  read = (file: string) => readFileSync(join(this.folder, file), 'utf8');

  write(file: string, text: string): void {
    const path = join(this.folder, file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }

  copy(files: readonly string[]): void {
    for (const file of files) cpSync(file, join(this.folder, file));
  }

  /** Replaces or adds a file with the page's block. @param omitted the lines that the page says to delete */
  replace(file: string, omitted = /(?!)/): void {
    const lines = blockOf(file).split('\n');
    this.write(file, lines.filter((line) => !omitted.test(line)).join('\n'));
  }

  /** Adds the imports of the page's block, and replaces the lines from its first other line to its last. */
  edit(file: string): void {
    const [, imports = '', body = ''] = /^\/\/ .*\n((?:import .*\n)*)\n?([\s\S]*)\n$/.exec(blockOf(file))!;
    const lines = body.split('\n');
    const text = this.read(file);
    const start = text.indexOf(lines[0]!);
    const last = `\n${lines.at(-1)!}\n`;
    const end = text.indexOf(last, start);
    if (start < 0 || end < 0) throw new Error(`${file} does not have the lines that the page changes.`);
    this.write(file, `${imports}${text.slice(0, start)}${body}${text.slice(end + last.length - 1)}`);
  }

  /** Runs a program. @returns its output */
  async run(program: string, args: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Promise<string> {
    const options = { cwd: this.folder, env: { PATH: process.env['PATH'], ...env } };
    try {
      const { stdout } = await execute(process.execPath, [program, ...args], options);
      return stdout.trim();
    } catch (error) {
      const { stdout, stderr } = error as { stdout: string; stderr: string };
      throw new Error(`${program} failed:\n${stdout}${stderr}`, { cause: error });
    }
  }

  /** Starts it as `start:prod` does. @returns its port */
  async start(program: string, env: NodeJS.ProcessEnv = {}): Promise<number> {
    const port = await freePort();
    const child = spawn(process.execPath, [program], {
      cwd: this.folder,
      env: { PATH: process.env['PATH'], PORT: String(port), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.children.push(child);
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (output += text));
    while (!(await connects('127.0.0.1', port))) {
      if (child.exitCode !== null) throw new Error(`${program} ended:\n${output}`);
      await new Promise((later) => setTimeout(later, 50));
    }
    return port;
  }

  path = (file: string) => join(this.folder, file);

  async remove(): Promise<void> {
    for (const child of this.children)
      if (child.exitCode === null) {
        child.kill();
        await once(child, 'close');
      }
    rmSync(this.parent, { recursive: true });
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

function connects(host: string, port: number): Promise<boolean> {
  return new Promise((settle) => {
    const socket = createConnection({ host, port });
    socket.on('connect', () => settle(true)).on('error', () => settle(false));
    socket.on('connect', () => socket.destroy());
  });
}

const packageOf = (specifier: string) => /^(@[^/]+\/[^/]+|[^/]+)/.exec(specifier)![1]!;

/** The packages that these files import, except those of Node. */
const packagesOf = (files: readonly string[]) =>
  new Set(
    files
      .flatMap((file) => ts.preProcessFile(readFileSync(file, 'utf8')).importedFiles)
      .map(({ fileName }) => fileName)
      .filter((specifier) => !/^(\.|node:)/.test(specifier))
      .map(packageOf),
  );

describe('API keys in an application of the Nest CLI, by the steps of the page', () => {
  const application = new GeneratedApplication();
  afterAll(() => application.remove());

  let port: number;
  let key: string;
  const status = async (path: string, sent?: string, init: RequestInit = {}) => {
    const headers = { 'Content-Type': 'application/json', ...(sent && { 'X-API-Key': sent }) };
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { ...init, headers });
    await response.arrayBuffer();
    return response.status;
  };

  beforeAll(async () => {
    await application.generate();
    application.install(listedPackages);
    application.copy(listedFiles);
  }, 120_000);

  it('lists the files that the method and the module import', () => {
    expect(listedFiles).toEqual(lifted(['api-key']));
  });

  it('lists the packages that the files import, the database driver and the peer of @nestjs/passport', () => {
    const generated = application.packages();
    const imported = [...packagesOf(listedFiles), 'better-sqlite3', 'passport', '@nestjs/typeorm'];
    const missing = new Set(imported.filter((name) => !generated.includes(name)));
    expect(listedPackages).toEqual([...missing].sort());
  });

  describe('with the guard on every route', () => {
    beforeAll(async () => {
      application.replace('src/app.module.ts', /\/\/ for /);
      application.replace('src/main.ts');
      application.replace('src/create-first-key.ts');
      await application.run(resolve('node_modules/@nestjs/cli/bin/nest.js'), ['build']);
      key = await application.run('dist/create-first-key.js');
      port = await application.start('dist/main.js');
    }, 120_000);

    it('rejects an anonymous request with the challenge', async () => {
      const response = await fetch(`http://127.0.0.1:${port}/demo/api-key`);
      expect(response.status).toBe(401);
      expect(response.headers.get('WWW-Authenticate')).toBe('ApiKey realm="auth-atlas"');
    });

    it('rejects the published key of the demo', async () => {
      expect(await status('/demo/api-key', DEMO_KEY)).toBe(401);
    });

    it('accepts the key that the program of the page creates, which creates further keys', async () => {
      expect(await status('/demo/api-key', key)).toBe(200);
      const body = JSON.stringify({ name: 'second key' });
      expect(await status('/api-keys', key, { method: 'POST', body })).toBe(201);
      expect(await status('/api-keys', key, { method: 'POST', body: '{}' })).toBe(400);
    });

    it('closes the generated route', async () => {
      expect(await status('/')).toBe(401);
      expect(await status('/', key)).toBe(200);
    });

    it('listens on 127.0.0.1 only', async () => {
      expect(await connects('127.0.0.1', port)).toBe(true);
      expect(await connects('127.0.0.2', port)).toBe(false);
      expect(await connects('::1', port)).toBe(false);
    });
  });

  describe('with guards on single routes, and its own table of accounts', () => {
    const env = { DATABASE_FILE: 'accounts.sqlite' };

    beforeAll(async () => {
      application.replace('src/app.module.ts', /\/\/ for |provide: APP_GUARD/);
      application.copy(['src/methods/api-key/api-key.guard.ts']);
      application.edit('src/app.controller.ts');
      application.edit('src/methods/api-key/api-key.controller.ts');
      application.replace('src/create-first-key.ts', /Tenant|manager/);
      application.replace('src/users/user.entity.ts');
      application.replace('src/users/users.migration.ts');
      application.edit('src/users/credential.ts');
      // Also compiles the generated tests.
      await application.run(resolve('node_modules/typescript/bin/tsc'), ['--outDir', 'single']);
      const database = new DataSource({
        type: 'better-sqlite3',
        database: application.path(env.DATABASE_FILE),
      });
      await database.initialize();
      await database.query(
        'CREATE TABLE accounts (id varchar(36) PRIMARY KEY, email text, disabled_at datetime)',
      );
      await database.query(`INSERT INTO accounts VALUES ('ann', 'ann@example.com', NULL)`);
      await database.destroy();
      key = await application.run('single/src/create-first-key.js', [], env);
      port = await application.start('single/src/main.js', env);
    }, 120_000);

    it('closes the route that has the guard of the method', async () => {
      expect(await status('/')).toBe(401);
      expect(await status('/', key)).toBe(200);
    });

    it("closes the method's own routes, which work with a key", async () => {
      expect(await status('/api-keys')).toBe(401);
      expect(await status('/api-keys', key)).toBe(200);
      expect(await status('/demo/api-key', key)).toBe(200);
    });

    it('compiles the generated tests', () => {
      expect(existsSync(application.path('single/src/app.controller.spec.js'))).toBe(true);
      expect(existsSync(application.path('single/test/app.e2e-spec.js'))).toBe(true);
    });
  });
});
