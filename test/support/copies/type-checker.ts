import { readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import ts from 'typescript';
import { filesBelow, importsIn } from './files.js';

/** Text by path, relative to the project. */
type Files = ReadonlyMap<string, string>;

/** A file that adds members to an interface of another file (`declare module`). */
interface Augmentation {
  readonly file: string;
  readonly interfaceName: string;
  /** The names of the members; undefined where the file computes them. */
  readonly members: readonly string[] | undefined;
}

/**
 * Type-checks variants of this project in which files are missing or have another text.
 *
 * A full check takes half a minute, and the variants differ in few files. So a file is checked in a variant only if its
 * errors could differ from those in the project, which `npm run typecheck` checks as a whole, or in a variant before:
 * - the file has another text,
 * - a file that it imports is missing or has another text,
 * - it contains a name that a missing file adds to an interface, such as the name of a removed method, or
 * - an interface lost computed members, or all members.
 *
 * The libraries are parsed once for all variants.
 */
export class TypeChecker {
  private readonly root = process.cwd();
  private readonly options = readOptions();
  private readonly project = projectFiles();
  private readonly augmentations = [...this.project].flatMap(([file, text]) => augmentationsIn(file, text));
  private readonly parsed = new Map<string, ts.SourceFile>();
  private readonly resolutions = ts.createModuleResolutionCache(this.root, (name) => name, this.options);
  private readonly checked = new Set<string>();

  /**
   * @param below limits the check to the files of this folder
   * @returns the errors, as `path:line text`
   */
  errorsIn(files: Files, below = ''): string[] {
    const present = this.augmentations.filter(({ file }) => files.has(file));
    const context = contextOf(this.augmentations, present);
    const kept = new Set(present.flatMap(({ members = [] }) => members));
    const missing = this.augmentations
      .flatMap(({ members = [] }) => members)
      .filter((name) => !kept.has(name));
    const signatures = new Map<string, string>();
    for (const [file, text] of files) {
      if (below && !file.startsWith(`${below}/`)) continue;
      const signature = JSON.stringify([file, context, ...this.differences(file, text, files, missing)]);
      if (this.checked.has(signature)) continue;
      if (signature === JSON.stringify([file, ''])) continue;
      signatures.set(file, signature);
    }
    const errors = this.check(files, [...signatures.keys()], [...new Set(present.map(({ file }) => file))]);
    if (!errors.length) for (const signature of signatures.values()) this.checked.add(signature);
    return errors;
  }

  /** Everything that can make the errors of a file differ from its errors in the project. */
  private differences(file: string, text: string, files: Files, missing: readonly string[]): string[] {
    const differences = [];
    if (text !== this.project.get(file)) differences.push(text);
    for (const target of importsIn(file, text))
      if (files.get(target) !== this.project.get(target) || !files.has(target))
        differences.push(target, files.get(target) ?? '');
    for (const name of missing) if (mentions(text, name)) differences.push(name);
    return differences;
  }

  private check(files: Files, toCheck: readonly string[], augmenting: readonly string[]): string[] {
    if (!toCheck.length) return [];
    const roots = [...new Set([...toCheck, ...augmenting])].map((file) => join(this.root, file));
    const program = ts.createProgram(roots, this.options, this.hostOf(files));
    const faults = toCheck.flatMap((file) => {
      const sourceFile = program.getSourceFile(join(this.root, file))!;
      return [...program.getSyntacticDiagnostics(sourceFile), ...program.getSemanticDiagnostics(sourceFile)];
    });
    return [...program.getOptionsDiagnostics(), ...faults].map((fault) => lineOf(fault, this.root));
  }

  private hostOf(files: Files): ts.CompilerHost {
    const pathOf = (name: string) => {
      const path = relative(this.root, name);
      return /^(src|test)\//.test(path) ? path : undefined;
    };
    const readFile = (name: string) => {
      const path = pathOf(name);
      return path ? files.get(path) : ts.sys.readFile(name);
    };
    const fileExists = (name: string) => {
      const path = pathOf(name);
      return path ? files.has(path) : ts.sys.fileExists(name);
    };
    return {
      ...ts.createCompilerHost(this.options),
      readFile,
      fileExists,
      getSourceFile: (name, options) => {
        const path = pathOf(name);
        const key = path ? `${path}\n${files.get(path)}` : name;
        const before = this.parsed.get(key);
        if (before) return before;
        const text = readFile(name);
        if (text === undefined) return undefined;
        const parsed = ts.createSourceFile(name, text, options);
        this.parsed.set(key, parsed);
        return parsed;
      },
      resolveModuleNameLiterals: (literals, from, redirected, options, sourceFile) =>
        literals.map((literal) => {
          if (pathOf(from) && literal.text.startsWith('.')) {
            const target = join(dirname(from), literal.text.replace(/\.js$/, '.ts'));
            return {
              resolvedModule: fileExists(target)
                ? { resolvedFileName: target, extension: ts.Extension.Ts, isExternalLibraryImport: false }
                : undefined,
            };
          }
          const mode = ts.getModeForUsageLocation(sourceFile, literal, options);
          return ts.resolveModuleName(
            literal.text,
            from,
            options,
            ts.sys,
            this.resolutions,
            redirected,
            mode,
          );
        }),
    };
  }
}

function readOptions(): ts.CompilerOptions {
  const { config } = ts.readConfigFile('tsconfig.json', (path) => readFileSync(path, 'utf8')) as {
    config: object;
  };
  return { ...ts.parseJsonConfigFileContent(config, ts.sys, process.cwd()).options, noEmit: true };
}

function projectFiles(): Files {
  const paths = [...filesBelow('src'), ...filesBelow('test')].filter((path) => path.endsWith('.ts'));
  return new Map(paths.map((path) => [path, readFileSync(path, 'utf8')]));
}

function augmentationsIn(file: string, text: string): Augmentation[] {
  if (!/^declare module '\./m.test(text)) return [];
  const { statements } = ts.createSourceFile(file, text, ts.ScriptTarget.Latest);
  const blocks = statements.filter(ts.isModuleDeclaration).flatMap(({ body }) => (body ? [body] : []));
  const interfaces = blocks.filter(ts.isModuleBlock).flatMap((block) => block.statements);
  return interfaces.filter(ts.isInterfaceDeclaration).map(({ name, members, heritageClauses }) => ({
    file,
    interfaceName: name.text,
    members: heritageClauses
      ? undefined
      : members.flatMap((member) =>
          member.name && (ts.isIdentifier(member.name) || ts.isStringLiteral(member.name))
            ? [member.name.text]
            : [],
        ),
  }));
}

/** The interfaces that lost computed members or all members: then any file could have other errors. */
function contextOf(all: readonly Augmentation[], present: readonly Augmentation[]): string {
  const left = new Set(present.map(({ interfaceName }) => interfaceName));
  return all
    .filter((each) => !left.has(each.interfaceName) || (!each.members && !present.includes(each)))
    .map(({ interfaceName }) => interfaceName)
    .join();
}

/** Whether a file has this name as a string, a key or a property; a call of a method of that name does not count. */
const mentions = (text: string, name: string) =>
  new RegExp(`['"\`]${name}['"\`]|\\b${name}\\??:|\\.${name}\\b(?!\\()`).test(text);

function lineOf({ file, start = 0, messageText }: ts.Diagnostic, root: string): string {
  const text = ts.flattenDiagnosticMessageText(messageText, ' ');
  if (!file) return text;
  const line = file.getLineAndCharacterOfPosition(start).line + 1;
  return `${relative(root, resolve(file.fileName))}:${line} ${text}`;
}
