import { afterAll, expect, it } from '@jest/globals';
import { join } from 'node:path';
import { freshDatabase } from '../support/app.js';
import { challengePattern } from '../support/contracts.js';
import { TEST_FILES, appModule, liftedFiles, sourcesOf, withHelpers } from '../support/copies/blank.js';
import { ProjectCopies } from '../support/copies/copy.js';
import { contract } from './oauth.contract.js';

const project = new ProjectCopies();
const database = await freshDatabase();
afterAll(async () => {
  project.remove();
  await database.drop();
});

it('works in another application without the authorization server and passwords', async () => {
  const copied = liftedFiles(['oauth']);
  expect(copied.filter((file) => /^src\/(passwords|authorization-server)\//.test(file))).toEqual([]);
  const blank = project.copy('oauth');
  const tests = [
    ...TEST_FILES.map((file) => join('test', file)),
    ...withHelpers('test/methods/oauth.contract.ts'),
  ];
  for (const file of new Set([...copied, ...tests, ...sourcesOf(tests)])) blank.add(file);
  blank.write('src/app.module.ts', appModule(['oauth'], copied));
  for await (const { errors } of project.compile('src')) expect(errors).toEqual([]);
  const env = { DATA_DIR: ':memory:', DATABASE_FILE: ':memory:', ...database.env };
  expect(await project.run(blank, 'test/support/copies/lifted', ['oauth'], env)).toEqual({
    responses: {
      anonymous: { status: 401, challenge: expect.stringMatching(challengePattern(contract.challenge)) },
      client: { '/demo/oauth': [200, 'bob'] },
    },
  });
}, 300_000);
