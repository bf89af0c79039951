import { readFileSync } from 'node:fs';
import { importsOf } from './files.js';

/** The test files that run in a blank application, and those that they import. */
export const TEST_FILES = [
  'support/contracts.ts',
  'support/copies/call-method.ts',
  'support/copies/lifted.ts',
  'support/copies/lifted-demo.ts',
];
/** The page whose code a blank application uses. */
export const LIFTING_PAGE = 'docs/guides/lifting-a-method.md';

/** The files with all that they import, directly or indirectly. */
export function withImports(
  files: readonly string[],
  excluded: (file: string) => boolean = () => false,
): string[] {
  const found = new Set<string>();
  const visit = (file: string): void => {
    if (found.has(file) || excluded(file)) return;
    found.add(file);
    importsOf(file).forEach(visit);
  };
  files.forEach(visit);
  return [...found].sort();
}

/** The TypeScript block of the page that begins with a comment of this file's name. */
export const blockOf = (file: string): string =>
  readFileSync(LIFTING_PAGE, 'utf8')
    .split('```ts\n')
    .map((block) => block.split('```')[0]!)
    .find((block) => block.startsWith(`// ${file}\n`))!;

const IMPORT = /^import .* from '\.\/(.*)\.js';.*$/;

/**
 * The lines of the page's `app.module.ts` for these methods. A line `// for x` stays if files of `src/x` are copied; a line
 * `// generated` is about a file of the Nest CLI.
 */
function linesFor(copied: readonly string[]): string[] {
  return blockOf('src/app.module.ts')
    .split('\n')
    .filter((line) => {
      if (line.endsWith('// generated')) return false;
      const [, part] = /\/\/ for (.*)$/.exec(line) ?? [];
      return !part || copied.some((file) => file.startsWith(`src/${part}`));
    });
}

/**
 * The files that a blank application copies for these methods: what their `index.ts` and the application's module
 * import.
 */
export function liftedFiles(methods: readonly string[], excluded?: (file: string) => boolean): string[] {
  const own = methods.map((method) => `src/methods/${method}/index.ts`);
  let copied = withImports(own, excluded);
  for (;;) {
    const imported = linesFor(copied).flatMap((line) => {
      const [, target] = IMPORT.exec(line) ?? [];
      return target && !target.startsWith('methods/') ? [`src/${target}.ts`] : [];
    });
    const next = withImports([...own, ...imported], excluded);
    if (next.length === copied.length) return next;
    copied = next;
  }
}

export const linesOf = (files: readonly string[]): number =>
  files.reduce((sum, file) => sum + readFileSync(file, 'utf8').trimEnd().split('\n').length, 0);

/** A file of a method's tests, and the test files that it imports, directly or indirectly. */
export const withHelpers = (file: string): string[] => [
  file,
  ...importsOf(file)
    .filter((target) => target.startsWith('test/') && target !== 'test/method.contract.ts')
    .flatMap(withHelpers),
];

/** The source files that tests import, directly or indirectly, such as the method's client. */
export const sourcesOf = (tests: readonly string[]): string[] =>
  withImports(
    tests.flatMap(importsOf).filter((file) => file.startsWith('src/') && file !== 'src/app.module.ts'),
  );

/** The page's `app.module.ts` for these methods, with the demo data, whose credentials the tests use. */
export function appModule(methods: readonly string[], copied: readonly string[]): string {
  const variables = methods.map((_, i) => `method${i}`);
  const imports = methods.map((name, i) => `import * as method${i} from './methods/${name}/index.js';`);
  return linesFor(copied)
    .join('\n')
    .replace(/^import \* as apiKey .*$/m, imports.join('\n'))
    .replace('[apiKey]', `[${variables.join(', ')}]`)
    .replace('forRoot(methods)', 'forRoot(methods, { demo: LiftedDemo })')
    .replace('  imports: [\n', '  imports: [\n    LiftedDemoModule,\n')
    .replace(
      '\n@Module',
      "\nimport { LiftedDemo, LiftedDemoModule } from '../test/support/copies/lifted-demo.js';\n\n@Module",
    );
}
