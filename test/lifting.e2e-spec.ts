import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { INSTALLED_METHODS } from '../src/app.module.js';
import type { AuthMethod } from '../src/authentication/method.js';
import { freshDatabase } from './support/app.js';
import { challengePattern, contractOf } from './support/contracts.js';
import {
  TEST_FILES,
  LIFTING_PAGE,
  appModule,
  liftedFiles,
  linesOf,
  sourcesOf,
  withHelpers,
} from './support/copies/blank.js';
import { ProjectCopies, type ProjectCopy } from './support/copies/copy.js';

/** The files and lines that a copied method may have at most. */
const LIMITS: Record<string, [maxFiles: number, maxLines: number]> = {
  'api-key': [29, 2_960],
  basic: [43, 3_370],
  hmac: [39, 3_670],
  jwt: [45, 4_190],
  session: [36, 3_450],
};

/** The methods to lift together: a ceremony needs an issuer. */
function companionsOf({ name, strategy }: AuthMethod): {
  methods: string[];
  proves: string;
  ceremony?: string;
} {
  if (strategy) return { methods: [name], proves: name };
  const issuer = INSTALLED_METHODS.find((method) => method.issuer)!.name;
  return { methods: [name, issuer], proves: issuer, ceremony: name };
}

describe('a method in a blank application, with the files that it imports', () => {
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
      const { methods, proves, ceremony } = companionsOf(method);
      const blank = project.copy(method.name);
      const copied = liftedFiles(methods);
      const tests = [
        ...TEST_FILES.map((file) => join('test', file)),
        ...withHelpers(`test/methods/${proves}.contract.ts`),
        ...(ceremony ? withHelpers(`test/methods/${ceremony}.ceremony.ts`) : []),
      ];
      for (const file of new Set([...copied, ...tests, ...sourcesOf(tests)])) blank.add(file);
      blank.write('src/app.module.ts', appModule(methods, copied));
      copies.set(method.name, blank);
    }
    for await (const blank of project.compile('src')) {
      const { proves, ceremony = [] } = companionsOf(
        INSTALLED_METHODS.find(({ name }) => name === blank.name)!,
      );
      const database = await freshDatabase();
      databases.push(database);
      const env = { DATA_DIR: ':memory:', DATABASE_FILE: ':memory:', ...database.env };
      running.set(
        blank.name,
        project.run(blank, 'test/support/copies/lifted', [proves, ceremony].flat(), env),
      );
    }
  }, 300_000);

  it.each(INSTALLED_METHODS)('$name compiles', ({ name }) => {
    expect(copies.get(name)?.errors).toEqual([]);
  });

  it.each(INSTALLED_METHODS)(
    '$name responds 401 with its challenge, and 200 to its client',
    async (method) => {
      const { proves, ceremony } = companionsOf(method);
      const responses = {
        anonymous: {
          status: 401,
          challenge: expect.stringMatching(
            challengePattern((await contractOf(proves)).challenge),
          ) as unknown as string,
        },
        client: { [`/demo/${proves}`]: [200, 'bob'] },
      };
      expect(await running.get(method.name)).toEqual({ responses, ...(ceremony && { ceremonyStatus: 200 }) });
    },
  );

  it('the page about lifting has the measured files and lines', () => {
    const rows = INSTALLED_METHODS.map((method) => {
      const { methods } = companionsOf(method);
      const files = liftedFiles(methods);
      const name = methods.map((each) => `\`${each}\``).join(' with ');
      return `| ${name} | ${files.length} | ${linesOf(files).toLocaleString('en-US')} |`;
    });
    process.stdout.write(`${rows.join('\n')}\n`);
    const table = readFileSync(LIFTING_PAGE, 'utf8').match(/^\| `.*` \| \d+ \| [\d,]+ \|$/gm);
    expect(table).toEqual(rows);
  });

  it.each(Object.entries(LIMITS))('%s stays small enough to copy', (name, [maxFiles, maxLines]) => {
    const files = liftedFiles([name]);
    expect(files.length).toBeLessThanOrEqual(maxFiles);
    expect(linesOf(files)).toBeLessThanOrEqual(maxLines);
  });
});
