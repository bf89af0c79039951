import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { INSTALLED_METHODS } from '../src/app.module.js';
import type { AuthMethod } from '../src/authentication/method.js';
import { freshDatabase } from './support/app.js';
import { challengePattern, contractOf } from './support/contracts.js';
import { CALLER, PAGE, appModule, withHelpers, withKernel } from './support/copies/blank.js';
import { ProjectCopies, type ProjectCopy } from './support/copies/copy.js';

/** A ceremony comes with an issuer, or it would end in nothing. */
function companyOf({ name, strategy }: AuthMethod): { lifted: string[]; proves: string; ceremony?: string } {
  if (strategy) return { lifted: [name], proves: name };
  const issuer = INSTALLED_METHODS.find((method) => method.issuer)!.name;
  return { lifted: [name, issuer], proves: issuer, ceremony: name };
}

describe('a method is lifted with its folder and the kernel folders that it imports', () => {
  const project = new ProjectCopies();
  const copies = new Map<string, ProjectCopy>();
  const running = new Map<string, Promise<unknown>>();
  const databases: Awaited<ReturnType<typeof freshDatabase>>[] = [];
  afterAll(async () => {
    project.remove();
    for (const { drop } of databases) await drop();
  });

  beforeAll(async () => {
    for (const method of INSTALLED_METHODS) {
      const { lifted, proves, ceremony } = companyOf(method);
      const blank = project.copy(method.name);
      const copied = withKernel(lifted);
      for (const folder of copied) blank.add(folder);
      blank.write('src/app.module.ts', appModule(lifted, copied));
      const files = [
        ...CALLER.map((file) => join('test', file)),
        ...withHelpers(`test/methods/${proves}.contract.ts`),
        ...(ceremony ? withHelpers(`test/methods/${ceremony}.ceremony.ts`) : []),
      ];
      for (const file of files) blank.add(file);
      copies.set(method.name, blank);
    }
    for await (const blank of project.compile('src')) {
      const { proves, ceremony = [] } = companyOf(INSTALLED_METHODS.find(({ name }) => name === blank.name)!);
      const database = await freshDatabase();
      databases.push(database);
      const env = { DATA_DIR: ':memory:', ...database.env };
      running.set(
        blank.name,
        project.run(blank, 'test/support/copies/lifted', [proves, ceremony].flat(), env),
      );
    }
  }, 300_000);

  it.each(INSTALLED_METHODS)('$name: compiles in a blank application', ({ name }) => {
    expect(copies.get(name)?.errors).toEqual([]);
  });

  it.each(INSTALLED_METHODS)(
    '$name: asks nobody in without a credential, and lets its client in',
    async (method) => {
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
    },
  );

  it.each(INSTALLED_METHODS)('the page of $name names these folders and no others', ({ name }) => {
    const page = readFileSync(`docs/methods/${name}.md`, 'utf8');
    const [, section = ''] = /^## Lift it into your app\n([\s\S]*?)^## /m.exec(page) ?? [];
    const named = [...section.matchAll(/`(src\/[\w/-]+)`/g)].map(([, folder]) => folder!);
    expect(new Set(named)).toEqual(new Set(withKernel([name])));
  });

  it('the page about lifting says of each of these folders what it is', () => {
    const table = readFileSync(PAGE, 'utf8');
    for (const folder of withKernel(INSTALLED_METHODS.map(({ name }) => name)))
      if (!folder.startsWith('src/methods/')) expect(table).toContain(`\n| \`${folder}\` | `);
  });
});
