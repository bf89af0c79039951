import { readFileSync } from 'node:fs';
import { filesBelow, importsOf } from './files.js';

/** What calls a copied application once it stands. */
export const CALLER = ['support/contracts.ts', 'support/copies/knock.ts', 'support/copies/lifted.ts'];
export const PAGE = 'docs/guides/lifting-a-method.md';

/**
 * The folders of these methods, those that they import, and so on, but never another method.
 * @param out what is left out of the methods' folders
 */
export function withKernel(
  methods: readonly string[],
  out: (file: string) => boolean = () => false,
): string[] {
  const folders = methods.map((method) => `src/methods/${method}`);
  for (const folder of folders)
    for (const target of filesBelow(folder)
      .filter((file) => !out(file))
      .flatMap(importsOf)) {
      const [, room] = /^(src\/[^/]+)\//.exec(target) ?? [];
      if (room && room !== 'src/methods' && !folders.includes(room)) folders.push(room);
    }
  return folders;
}

/** A file of a method's tests, and those that it imports, and so on. */
export const withHelpers = (file: string): string[] => [
  file,
  ...importsOf(file)
    .filter((target) => target.startsWith('test/') && target !== 'test/method.contract.ts')
    .flatMap(withHelpers),
];

/** The module of the blank application as the page shows it, for these methods, without what was not copied. */
export function appModule(methods: readonly string[], copied: readonly string[]): string {
  const [, shown = ''] =
    /```ts\n(\/\/ src\/app\.module\.ts\n[\s\S]*?)```/.exec(readFileSync(PAGE, 'utf8')) ?? [];
  const imports = [...shown.matchAll(/^import (?:\* as )?(.*) from '\.\/(.*)\/index\.js';.*$/gm)];
  const absent = imports
    .filter(([, , folder]) => !folder!.startsWith('methods/') && !copied.includes(`src/${folder}`))
    .flatMap(([, names]) => names!.match(/\w+/g)!);
  const [line, face] = imports.find(([, , folder]) => folder!.startsWith('methods/'))!;
  const faces = methods.map((_, i) => `method${i}`);
  return shown
    .split('\n')
    .filter((each) => !absent.some((name) => new RegExp(`\\b${name}\\b`).test(each)))
    .join('\n')
    .replace(
      line,
      methods.map((name, i) => `import * as method${i} from './methods/${name}/index.js';`).join('\n'),
    )
    .replace(`[${face}]`, `[${faces.join(', ')}]`);
}
