import { afterAll, expect, it } from '@jest/globals';
import { join } from 'node:path';
import { freshDatabase } from '../support/app.js';
import { challengePattern } from '../support/contracts.js';
import { CALLER, appModule, withHelpers, withKernel } from '../support/copies/blank.js';
import { ProjectCopies } from '../support/copies/copy.js';
import { contract } from './oauth.contract.js';

const project = new ProjectCopies();
const database = await freshDatabase();
afterAll(async () => {
  project.remove();
  await database.drop();
});

it('works in another application without the authorization server and passwords', async () => {
  const copied = withKernel(['oauth']);
  expect(copied).not.toContain('src/passwords');
  expect(copied).not.toContain('src/authorization-server');
  const blank = project.copy('oauth');
  for (const folder of copied) blank.add(folder);
  blank.write('src/app.module.ts', appModule(['oauth'], copied));
  const caller = CALLER.map((file) => join('test', file));
  for (const file of [...caller, ...withHelpers('test/methods/oauth.contract.ts')]) blank.add(file);
  for await (const { errors } of project.compile('src')) expect(errors).toEqual([]);
  const env = { DATA_DIR: ':memory:', ...database.env };
  expect(await project.run(blank, 'test/copies/lifted', ['oauth'], env)).toEqual({
    answers: {
      nobody: { status: 401, challenge: expect.stringMatching(challengePattern(contract.challenge)) },
      client: { '/demo/oauth': [200, 'bob'] },
    },
  });
}, 120_000);
