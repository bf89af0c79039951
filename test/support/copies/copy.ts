import { fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { setImmediate } from 'node:timers/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import pLimit from 'p-limit';
import ts from 'typescript';

/** A temporary folder for {@link Copy copies} of parts of this project, which are compiled together and run apart. */
export class Workshop {
  readonly folder = realpathSync(mkdtempSync(join(tmpdir(), 'atlas-copies-')));
  private readonly copies: Copy[] = [];
  /** Starting takes a core each. */
  private readonly turn = pLimit(2);

  /** Where the JavaScript is. */
  private compiled = this.folder;

  constructor() {
    furnish(this.folder);
  }

  copy(name: string): Copy {
    const copy = new Copy(name, join(this.folder, name));
    this.copies.push(copy);
    return copy;
  }

  /**
   * Type-checks all copies with this project's options, which are strict, and writes the JavaScript of those without a
   * fault. No copy sees another; in one program they share what the compiler learns of the libraries, which is most.
   *
   * Neither the database nor the adapter is of any concern to a compiler: with `COMPILED_COPIES`, a folder, what was compiled from
   * the very same files is taken from there, and anything else is put there.
   * @param below the part of each copy that is checked
   * @returns one copy after the other, so that the first can run while the next is checked
   */
  async *compile(below = '.'): AsyncGenerator<Copy> {
    const kept = process.env['COMPILED_COPIES'];
    const before = kept && join(kept, digestOf(this.folder, below));
    if (!before) yield* this.compileInto(this.folder, below);
    else if (existsSync(join(before, SAID))) yield* this.take(before);
    else {
      furnish(before);
      yield* this.compileInto(before, below);
      const said = Object.fromEntries(this.copies.map(({ name, complaints }) => [name, complaints]));
      writeFileSync(join(before, SAID), JSON.stringify(said));
    }
  }

  private async *take(before: string): AsyncGenerator<Copy> {
    this.compiled = before;
    const said = JSON.parse(readFileSync(join(before, SAID), 'utf8')) as Record<string, string[]>;
    for (const copy of this.copies) {
      copy.complaints = said[copy.name]!;
      yield copy;
      await setImmediate();
    }
  }

  private async *compileInto(target: string, below: string): AsyncGenerator<Copy> {
    this.compiled = target;
    const { config } = ts.readConfigFile('tsconfig.json', (path) => readFileSync(path, 'utf8')) as {
      config: { include: string[]; compilerOptions: object };
    };
    const { fileNames, options } = ts.parseJsonConfigFileContent(
      {
        include: config.include.map((folder) => `*/${folder}`),
        compilerOptions: { ...config.compilerOptions, sourceMap: false, outDir: join(target, 'dist') },
      },
      ts.sys,
      this.folder,
    );
    const program = ts.createProgram(fileNames, options);
    const broken = program
      .getOptionsDiagnostics()
      .map((each) => ts.flattenDiagnosticMessageText(each.messageText, '\n'));
    const files = program.getSourceFiles();
    for (const copy of this.copies) {
      const checked = files.filter(({ fileName }) => fileName.startsWith(join(copy.folder, below) + sep));
      const faults = checked.flatMap((file) => [
        ...program.getSyntacticDiagnostics(file),
        ...program.getSemanticDiagnostics(file),
      ]);
      copy.complaints = [...broken, ...faults.map((fault) => sentence(fault, copy.folder))];
      if (!copy.complaints.length)
        for (const file of files) if (file.fileName.startsWith(copy.folder + sep)) program.emit(file);
      yield copy;
      // Lets what was started go on: the compiler itself never waits.
      await setImmediate();
    }
  }

  /**
   * Runs a compiled file of a copy in a process of its own.
   * @param path without its ending
   * @param env is added to this process' choice of database and adapter
   * @returns the message that it sends; whoever awaits it may do so late
   */
  run(copy: Copy, path: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<unknown> {
    const file = join(this.compiled, 'dist', copy.name, `${path}.js`);
    const message = this.turn(() => messageOf(file, args, env));
    message.catch(() => {});
    return message;
  }

  remove(): void {
    rmSync(this.folder, { recursive: true });
  }
}

/** What the compiler said of each copy. */
const SAID = 'complaints.json';

/** Makes a folder one in which compiled copies can run. */
function furnish(folder: string): void {
  mkdirSync(folder, { recursive: true });
  symlinkSync(resolve('node_modules'), join(folder, 'node_modules'));
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
}

/** Names all that a compilation depends on: the files, the compiler, its options. */
function digestOf(folder: string, below: string): string {
  const hash = createHash('sha256').update(
    JSON.stringify([
      ts.version,
      below,
      readFileSync('tsconfig.json', 'utf8'),
      readFileSync('package-lock.json', 'utf8'),
    ]),
  );
  for (const file of filesBelow(folder).sort())
    if (!relative(folder, file).startsWith('node_modules'))
      hash.update(JSON.stringify([relative(folder, file), readFileSync(file, 'utf8')]));
  return hash.digest('hex');
}

/** Files of this project on their own, somewhere else. */
export class Copy {
  /** What the compiler says against it. */
  complaints: readonly string[] = ['It was not compiled.'];

  constructor(
    readonly name: string,
    readonly folder: string,
  ) {}

  /** Copies a file or a folder of this project to the same place, but for the files that are left `out`. */
  add(path: string, out: (file: string) => boolean = () => false): void {
    mkdirSync(dirname(join(this.folder, path)), { recursive: true });
    cpSync(path, join(this.folder, path), { recursive: true, filter: (file) => !out(file) });
  }

  write(path: string, text: string): void {
    writeFileSync(join(this.folder, path), text);
  }
}

function sentence({ file, start = 0, messageText }: ts.Diagnostic, folder: string): string {
  const text = ts.flattenDiagnosticMessageText(messageText, ' ');
  if (!file) return text;
  const line = file.getLineAndCharacterOfPosition(start).line + 1;
  return `${relative(folder, file.fileName)}:${line} ${text}`;
}

async function messageOf(file: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<unknown> {
  const { PATH, DATABASE_URL = '', HTTP_ADAPTER = '' } = process.env;
  const child = fork(file, args, {
    cwd: dirname(file),
    env: { PATH, DATABASE_URL, HTTP_ADAPTER, TLS_PORT: '0', ...env },
    execArgv: [],
    silent: true,
  });
  let [output, message]: [string, unknown] = ['', undefined];
  for (const stream of [child.stdout!, child.stderr!])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.on('message', (sent) => (message = sent));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0 || message === undefined) throw new Error(`${file} ended with ${code}:\n${output}`);
  return message;
}

/** The files below a folder. */
export const filesBelow = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

/** The modules of this project that a file imports, for their values or their types, relative to the project. */
export const importsOf = (file: string): string[] =>
  ts
    .preProcessFile(readFileSync(file, 'utf8'))
    .importedFiles.map(({ fileName }) => fileName)
    .filter((target) => target.startsWith('.'))
    .map((target) => join(dirname(file), target.replace(/\.js$/, '.ts')));
