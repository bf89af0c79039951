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
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '../free-port.js';
import { blockOf } from './blank.js';
import { filesBelow } from './files.js';

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

/** An application of the Nest CLI, in a temporary folder. */
export class GeneratedApplication {
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

  /** Runs a command of the page that copies files of this project to `../app`. */
  async copyBy(command: string): Promise<void> {
    await execute('bash', ['-euo', 'pipefail', '-c', command.replace('../app', this.folder)]);
  }

  copy = (file: string) => cpSync(file, join(this.folder, file));

  files = (): string[] => filesBelow(join(this.folder, 'src')).map((file) => relative(this.folder, file));

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

  has = (file: string) => existsSync(this.path(file));

  async remove(): Promise<void> {
    for (const child of this.children)
      if (child.exitCode === null) {
        child.kill();
        await once(child, 'close');
      }
    rmSync(this.parent, { recursive: true });
  }
}

export function connects(host: string, port: number): Promise<boolean> {
  return new Promise((settle) => {
    const socket = createConnection({ host, port });
    socket.on('connect', () => settle(true)).on('error', () => settle(false));
    socket.on('connect', () => socket.destroy());
  });
}
