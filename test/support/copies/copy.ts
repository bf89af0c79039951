import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { transformSync } from '@swc/core';
import pLimit from 'p-limit';
import { filesBelow } from './files.js';
import { TypeChecker } from './type-checker.js';

/** The same entry file, started once for each copy, in one process. */
const RUN_EACH = 'test/support/copies/run-each.ts';

/** A part of this project as it is without some files, or with other text in some of them. */
export class ProjectCopy {
  /** The text of each file, by its path in the project. */
  readonly files = new Map<string, string>();
  /** The compiler's errors, one line each. */
  errors: readonly string[] = ['It was not compiled.'];

  constructor(readonly name: string) {}

  /** Adds a file or a folder of this project at the same path, except the files that `excluded` matches. */
  add(path: string, excluded: (file: string) => boolean = () => false): void {
    const files = path.endsWith('.ts') ? [path] : filesBelow(path);
    for (const file of files)
      if (file.endsWith('.ts') && !excluded(file)) this.write(file, readFileSync(file, 'utf8'));
  }

  write(path: string, text: string): void {
    this.files.set(path, text);
  }
}

/** Type-checks {@link ProjectCopy copies} of this project, and runs them in child processes from a temporary folder. */
export class ProjectCopies {
  private readonly folder = realpathSync(mkdtempSync(join(tmpdir(), 'atlas-copies-')));
  private readonly copies: ProjectCopy[] = [];
  /** Two processes at once: each start takes a core. */
  private readonly limit = pLimit(2);
  private readonly checker = new TypeChecker();
  /** Compiled text by source text: copies share most files. */
  private readonly compiled = new Map<string, string>();
  private readonly emitted = new Set<string>();
  private readonly children = new Set<ChildProcess>();

  constructor() {
    symlinkSync(resolve('node_modules'), join(this.folder, 'node_modules'));
    writeFileSync(join(this.folder, 'package.json'), '{ "type": "module" }');
  }

  copy(name: string): ProjectCopy {
    const copy = new ProjectCopy(name);
    this.copies.push(copy);
    return copy;
  }

  /**
   * Type-checks each copy, and writes the JavaScript of those without an error.
   * @param below checks only the files in this folder of each copy
   * @returns the copies one by one, so that the first can run while the next is checked
   */
  async *compile(below = ''): AsyncGenerator<ProjectCopy> {
    for (const copy of this.copies) {
      copy.errors = this.checker.errorsIn(copy.files, below);
      if (!copy.errors.length) this.emit(copy);
      yield copy;
      // Lets the child processes' events through: the compiler is synchronous.
      await setImmediate();
    }
  }

  /** Writes the JavaScript of a copy, once. */
  emit({ name, files }: ProjectCopy): void {
    if (this.emitted.has(name)) return;
    this.emitted.add(name);
    for (const [path, text] of files) this.emitFile(join(name, path), text);
  }

  /**
   * Runs a compiled file of a copy in its own process.
   * @param path without its extension
   * @param env is added to this process' choice of database and adapter
   * @returns the message that the process sends; awaiting it late is safe
   */
  run(
    { name }: ProjectCopy,
    path: string,
    args: readonly string[],
    env: NodeJS.ProcessEnv = {},
  ): Promise<unknown> {
    const file = join(this.folder, 'dist', name, `${path}.js`);
    const message = this.limit(async () => {
      const messages = await this.fork(file, args, env);
      return messages[0];
    });
    message.catch(() => {});
    return message;
  }

  /**
   * Calls the function `observe` that a file of each copy exports, with the copy's name. All copies run in one process, one
   * after the other: the libraries are loaded once.
   * @param path without its extension
   * @returns the results in the order of the names; awaiting them late is safe
   */
  runEach(names: readonly string[], path: string): Promise<unknown[]> {
    this.emitFile(RUN_EACH, readFileSync(RUN_EACH, 'utf8'));
    const entry = join(this.folder, 'dist', RUN_EACH.replace(/ts$/, 'js'));
    const files = names.map((name) => join(this.folder, 'dist', name, `${path}.js`));
    const pairs = names.flatMap((name, i) => [name, files[i]!]);
    const messages = this.limit(() => this.fork(entry, pairs, {}, names.length));
    messages.catch(() => {});
    return messages;
  }

  remove(): void {
    for (const child of this.children) child.kill();
    rmSync(this.folder, { recursive: true });
  }

  private emitFile(path: string, text: string): void {
    let code = this.compiled.get(text);
    if (code === undefined) {
      code = transformSync(text, { filename: resolve(path), configFile: resolve('.swcrc') }).code;
      this.compiled.set(text, code);
    }
    const target = join(this.folder, 'dist', path.replace(/\.ts$/, '.js'));
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, code);
  }

  private async fork(
    file: string,
    args: readonly string[],
    env: NodeJS.ProcessEnv,
    count = 1,
  ): Promise<unknown[]> {
    const { PATH, DATABASE_URL = '', HTTP_ADAPTER = '' } = process.env;
    const child = fork(file, args, {
      cwd: dirname(file),
      env: { PATH, DATABASE_URL, HTTP_ADAPTER, TLS_PORT: '0', DEMO: 'true', ...env },
      execArgv: [],
      silent: true,
    });
    this.children.add(child);
    let output = '';
    const messages: unknown[] = [];
    for (const stream of [child.stdout!, child.stderr!])
      stream.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.on('message', (message) => messages.push(message));
    const [code] = (await once(child, 'close')) as [number | null];
    this.children.delete(child);
    if (code !== 0 || messages.length !== count)
      throw new Error(`${file} ended with ${code} after ${messages.length} of ${count} results:\n${output}`);
    return messages;
  }
}
