import { readFileSync } from 'node:fs';
import { importsOf } from './files.js';

/** The files of the tests that run in a copied application. */
export const CALLER = [
  'support/contracts.ts',
  'support/copies/knock.ts',
  'support/copies/lifted.ts',
  'support/copies/lifted-demo.ts',
];
export const PAGE = 'docs/guides/lifting-a-method.md';

/** The files that these import, and so on. */
export function reachedFrom(
  files: readonly string[],
  out: (file: string) => boolean = () => false,
): string[] {
  const reached = new Set<string>();
  const visit = (file: string): void => {
    if (reached.has(file) || out(file)) return;
    reached.add(file);
    importsOf(file).forEach(visit);
  };
  files.forEach(visit);
  return [...reached].sort();
}

/** The TypeScript block of the page that begins with this file's name. */
export const blockOf = (file: string): string =>
  readFileSync(PAGE, 'utf8')
    .split('```ts\n')
    .map((block) => block.split('```')[0]!)
    .find((block) => block.startsWith(`// ${file}\n`))!;

const IMPORT = /^import .* from '\.\/(.*)\.js';.*$/;

/** The lines of the page's `app.module.ts` for these methods: a line `// for x` stays if files of `src/x` are copied. */
function linesFor(copied: readonly string[]): string[] {
  return blockOf('src/app.module.ts')
    .split('\n')
    .filter((line) => {
      const [, part] = /\/\/ for (.*)$/.exec(line) ?? [];
      return !part || copied.some((file) => file.startsWith(`src/${part}`));
    });
}

/**
 * The files that a blank application copies for these methods: what their `index.ts` and the application's module
 * import.
 */
export function lifted(methods: readonly string[], out?: (file: string) => boolean): string[] {
  const own = methods.map((method) => `src/methods/${method}/index.ts`);
  let copied = reachedFrom(own, out);
  for (;;) {
    const imported = linesFor(copied).flatMap((line) => {
      const [, target] = IMPORT.exec(line) ?? [];
      return target && !target.startsWith('methods/') ? [`src/${target}.ts`] : [];
    });
    const next = reachedFrom([...own, ...imported], out);
    if (next.length === copied.length) return next;
    copied = next;
  }
}

export const linesOf = (files: readonly string[]): number =>
  files.reduce((sum, file) => sum + readFileSync(file, 'utf8').trimEnd().split('\n').length, 0);

/** A file of a method's tests, and those that it imports, and so on. */
export const withHelpers = (file: string): string[] => [
  file,
  ...importsOf(file)
    .filter((target) => target.startsWith('test/') && target !== 'test/method.contract.ts')
    .flatMap(withHelpers),
];

/** The files of `src` that tests import, and so on: the method's client. */
export const sourcesOf = (tests: readonly string[]): string[] =>
  reachedFrom(
    tests.flatMap(importsOf).filter((file) => file.startsWith('src/') && file !== 'src/app.module.ts'),
  );

/** The module of the page for these methods, with the demo, whose credentials the callers use. */
export function appModule(methods: readonly string[], copied: readonly string[]): string {
  const faces = methods.map((_, i) => `method${i}`);
  const imports = methods.map((name, i) => `import * as method${i} from './methods/${name}/index.js';`);
  return linesFor(copied)
    .join('\n')
    .replace(/^import \* as apiKey .*$/m, imports.join('\n'))
    .replace('[apiKey]', `[${faces.join(', ')}]`)
    .replace('forRoot(methods)', 'forRoot(methods, { demo: LiftedDemo })')
    .replace('  imports: [\n', '  imports: [\n    LiftedDemoModule,\n')
    .replace(
      '\n@Module',
      "\nimport { LiftedDemo, LiftedDemoModule } from '../test/support/copies/lifted-demo.js';\n\n@Module",
    );
}
