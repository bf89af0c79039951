import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { METHODS } from '../src/app.module.js';
import type { AuthMethod } from '../src/auth/index.js';
import { freshDatabase } from './app.js';
import { challengePattern, contractOf } from './contracts.js';
import { Workshop, type Copy, filesBelow, importsOf } from './copies/copy.js';

/** What calls a copied application once it stands. */
const CALLER = ['contracts.ts', 'copies/knock.ts', 'copies/lifted.ts'];
const PAGE = 'docs/lifting-a-method.md';

/** The folders that these folders import, and those that they import, but never another method. */
function withKernel(methods: readonly string[]): string[] {
  const folders = methods.map((method) => `src/methods/${method}`);
  for (const folder of folders)
    for (const target of filesBelow(folder).flatMap(importsOf)) {
      const [, room] = /^(src\/[^/]+)\//.exec(target) ?? [];
      if (room && room !== 'src/methods' && !folders.includes(room)) folders.push(room);
    }
  return folders;
}

/** A file of a method's tests, and those that it imports, and so on. */
const withHelpers = (file: string): string[] => [
  file,
  ...importsOf(file)
    .filter((target) => target.startsWith('test/methods/'))
    .flatMap(withHelpers),
];

/** The module of the blank application as the page shows it, for these methods, without what was not copied. */
function appModule(methods: readonly string[], copied: readonly string[]): string {
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

/** A ceremony comes with an issuer, or it would end in nothing. */
function companyOf({ name, strategy }: AuthMethod): { lifted: string[]; proves: string; ceremony?: string } {
  if (strategy) return { lifted: [name], proves: name };
  const issuer = METHODS.find((method) => method.issuer)!.name;
  return { lifted: [name, issuer], proves: issuer, ceremony: name };
}

describe('a method is lifted with its folder and the kernel folders that it imports', () => {
  const workshop = new Workshop();
  const copies = new Map<string, Copy>();
  const running = new Map<string, Promise<unknown>>();
  const databases: Awaited<ReturnType<typeof freshDatabase>>[] = [];
  afterAll(async () => {
    workshop.remove();
    for (const { drop } of databases) await drop();
  });

  beforeAll(async () => {
    for (const method of METHODS) {
      const { lifted, proves, ceremony } = companyOf(method);
      const blank = workshop.copy(method.name);
      const copied = withKernel(lifted);
      for (const folder of copied) blank.add(folder);
      blank.write('src/app.module.ts', appModule(lifted, copied));
      for (const file of [...CALLER, `methods/${proves}.contract.ts`]) blank.add(join('test', file));
      if (ceremony) for (const file of withHelpers(`test/methods/${ceremony}.ceremony.ts`)) blank.add(file);
      copies.set(method.name, blank);
    }
    for await (const blank of workshop.compile('src')) {
      const { proves, ceremony = [] } = companyOf(METHODS.find(({ name }) => name === blank.name)!);
      const database = await freshDatabase();
      databases.push(database);
      const env = { DATA_DIR: ':memory:', ...database.env };
      running.set(blank.name, workshop.run(blank, 'test/copies/lifted', [proves, ceremony].flat(), env));
    }
  }, 300_000);

  it.each(METHODS)('$name: compiles in a blank application', ({ name }) => {
    expect(copies.get(name)?.complaints).toEqual([]);
  });

  it.each(METHODS)('$name: asks nobody in without a credential, and lets its client in', async (method) => {
    const { proves, ceremony } = companyOf(method);
    const answers = {
      nobody: {
        status: 401,
        challenge: expect.stringMatching(
          challengePattern((await contractOf(proves)).challenge),
        ) as unknown as string,
      },
      client: { [`/demo/${proves}`]: [200, 'bob'] },
    };
    expect(await running.get(method.name)).toEqual({ answers, ...(ceremony && { entered: 200 }) });
  });

  it.each(METHODS)('the page of $name names these folders and no others', ({ name }) => {
    const page = readFileSync(`docs/methods/${name}.md`, 'utf8');
    const [, section = ''] = /^## Lift it into your app\n([\s\S]*?)^## /m.exec(page) ?? [];
    const named = [...section.matchAll(/`(src\/[\w/-]+)`/g)].map(([, folder]) => folder!);
    expect(new Set(named)).toEqual(new Set(withKernel([name])));
  });

  it('the page about lifting says of each of these folders what it is', () => {
    const table = readFileSync(PAGE, 'utf8');
    for (const folder of withKernel(METHODS.map(({ name }) => name)))
      if (!folder.startsWith('src/methods/')) expect(table).toContain(`\n| \`${folder}\` | `);
  });
});
