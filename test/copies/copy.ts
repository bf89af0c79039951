import { fork } from 'node:child_process';
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
import { dirname, join, resolve, sep } from 'node:path';
import ts from 'typescript';

export const methodNames = readdirSync('src/methods').filter((name) => !name.endsWith('.ts'));

/** A temporary folder for {@link Copy copies}, in which Node finds this project's packages. */
export class Workshop {
  readonly folder = realpathSync(mkdtempSync(join(tmpdir(), 'atlas-copies-')));
  /** Of the libraries, which all copies share: reading them takes longer than everything else. */
  readonly libraries = new Map<string, ts.SourceFile | undefined>();

  constructor() {
    symlinkSync(resolve('node_modules'), join(this.folder, 'node_modules'));
    writeFileSync(join(this.folder, 'package.json'), '{ "type": "module" }');
  }

  /** An empty project with this one's compiler options, which are strict. */
  project(name: string): Copy {
    const copy = new Copy(this, join(this.folder, name));
    copy.add('tsconfig.json');
    return copy;
  }

  remove(): void {
    rmSync(this.folder, { recursive: true });
  }
}

/** Files of this project on their own, somewhere else. */
export class Copy {
  constructor(
    private readonly workshop: Workshop,
    readonly folder: string,
  ) {
    mkdirSync(folder);
  }

  /** Copies a file or a folder of this project to the same place, but for the files that are left `out`. */
  add(path: string, out: (file: string) => boolean = () => false): void {
    mkdirSync(dirname(join(this.folder, path)), { recursive: true });
    cpSync(path, join(this.folder, path), { recursive: true, filter: (file) => !out(file) });
  }

  write(path: string, text: string): void {
    mkdirSync(dirname(join(this.folder, path)), { recursive: true });
    writeFileSync(join(this.folder, path), text);
  }

  has = (path: string) => existsSync(join(this.folder, path));

  /**
   * Type-checks, and writes JavaScript to `dist` where nothing is wrong.
   * @param below the part that is checked; everything is written
   * @returns the compiler's complaints
   */
  compile(below = '.'): string[] {
    const config = ts.getParsedCommandLineOfConfigFile(
      join(this.folder, 'tsconfig.json'),
      { sourceMap: false },
      { ...ts.sys, onUnRecoverableConfigFileDiagnostic: (diagnostic) => this.fail(diagnostic) },
    )!;
    const program = ts.createProgram(config.fileNames, config.options, this.host(config.options));
    const own = program
      .getSourceFiles()
      .filter(({ fileName }) => fileName.startsWith(join(this.folder, below) + sep))
      .flatMap((file) => [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)]);
    const complaints = [...config.errors, ...program.getOptionsDiagnostics(), ...own];
    if (!complaints.length) program.emit();
    return complaints.map((each) => this.sentence(each));
  }

  /**
   * Runs one of the compiled files in a process of its own.
   * @param path without its ending
   * @param env is added to this process' choice of database and adapter
   * @returns the message that it sends
   */
  run(path: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<unknown> {
    const message = this.start(path, args, env);
    // Whoever awaits it may do so later.
    message.catch(() => {});
    return message;
  }

  private async start(path: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<unknown> {
    const { PATH, DATABASE_URL = '', HTTP_ADAPTER = '' } = process.env;
    const child = fork(join(this.folder, 'dist', `${path}.js`), args, {
      cwd: this.folder,
      env: { PATH, DATABASE_URL, HTTP_ADAPTER, ...env },
      execArgv: [],
      silent: true,
    });
    let [output, message]: [string, unknown] = ['', undefined];
    for (const stream of [child.stdout!, child.stderr!])
      stream.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.on('message', (sent) => (message = sent));
    const [code] = (await once(child, 'close')) as [number | null];
    if (code !== 0 || message === undefined) throw new Error(`${path} ended with ${code}:\n${output}`);
    return message;
  }

  private host(options: ts.CompilerOptions): ts.CompilerHost {
    const { libraries, folder } = this.workshop;
    const host = ts.createCompilerHost(options);
    const read = host.getSourceFile.bind(host);
    host.getSourceFile = (name, ...rest) => {
      if (name.startsWith(folder + sep)) return read(name, ...rest);
      if (!libraries.has(name)) libraries.set(name, read(name, ...rest));
      return libraries.get(name);
    };
    return host;
  }

  private sentence({ file, start = 0, messageText }: ts.Diagnostic): string {
    const text = ts.flattenDiagnosticMessageText(messageText, ' ');
    if (!file) return text;
    const line = file.getLineAndCharacterOfPosition(start).line + 1;
    return `${file.fileName.replace(this.folder + sep, '')}:${line} ${text}`;
  }

  private fail(diagnostic: ts.Diagnostic): never {
    throw new Error(this.sentence(diagnostic));
  }
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
