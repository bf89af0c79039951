import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readFileSync, readdirSync } from 'node:fs';
import { INSTALLED_METHODS } from '../src/app.module.js';
import { challengePattern, contractOf } from './support/contracts.js';
import { ProjectCopies, type ProjectCopy } from './support/copies/copy.js';
import type { MethodResponses } from './support/copies/call-method.js';
import type { Observation } from './support/copies/removed.js';

const SERVER = 'authorization-server';
const methods = readdirSync('src/methods').filter((name) => !name.endsWith('.ts'));
const removable = [...methods, SERVER];

/** A file without the lines that match. */
function withoutLines(file: string, pattern: RegExp): string {
  const lines = readFileSync(file, 'utf8').split('\n');
  const left = lines.filter((line) => !pattern.test(line));
  expect(lines.length).toBeGreaterThan(left.length);
  return left.join('\n');
}

function removeMethod(copy: ProjectCopy, method: string): void {
  copy.add('src', (file) => file.startsWith(`src/methods/${method}/`));
  copy.add('test', (file) => file.startsWith(`test/methods/${method}.`));
  const line = new RegExp(`'\\./${method}/`);
  const index = withoutLines('src/methods/index.ts', line);
  expect(index.split('\n').length).toBe(readFileSync('src/methods/index.ts', 'utf8').split('\n').length - 1);
  copy.write('src/methods/index.ts', index);
}

function removeServer(copy: ProjectCopy): void {
  copy.add('src', (file) => file.startsWith(`src/${SERVER}/`));
  copy.add('test', (file) => file.startsWith(`test/${SERVER}/`));
  copy.write('src/app.module.ts', withoutLines('src/app.module.ts', /authorization-?server/i));
  const main = withoutLines('src/main.ts', new RegExp(SERVER));
  copy.write('src/main.ts', main.replace(', demoCurl', ''));
}

describe('removing a method or the authorization server: its folder, and the lines that import it', () => {
  const copies = new ProjectCopies();
  const errors = new Map<string, readonly string[]>();
  const observed = new Map<string, Promise<unknown>>();
  afterAll(() => copies.remove());

  beforeAll(async () => {
    const all = removable.map((name) => copies.copy(name));
    for (const copy of all) {
      if (copy.name === SERVER) removeServer(copy);
      else removeMethod(copy, copy.name);
      copies.emit(copy);
    }
    const results = copies.runEach(removable, 'test/support/copies/removed');
    removable.forEach((name, i) => {
      const result = results.then((list) => list[i]);
      result.catch(() => {});
      observed.set(name, result);
    });
    for await (const copy of copies.compile()) errors.set(copy.name, copy.errors);
  }, 900_000);

  it.each(removable)('without %s, everything else compiles', (removed) => {
    expect(errors.get(removed)).toEqual([]);
  });

  it.each(removable)(
    'without %s, everything else works',
    async (removed) => {
      const observation = (await observed.get(removed)) as Observation;
      const remaining = INSTALLED_METHODS.filter(({ name }) => name !== removed);
      const ceremonies = remaining.filter(({ strategy }) => !strategy).map(({ name }) => name);
      const issuers = remaining.filter(({ issuer }) => issuer).map(({ name }) => name);
      if (ceremonies.length && !issuers.length) {
        expect(observation.startError).toContain(
          `${ceremonies.join(', ')} ends in an issuer, and none is installed`,
        );
        return;
      }
      const responses: Record<string, MethodResponses> = {};
      for (const { name, strategy } of remaining)
        if (strategy)
          responses[name] = {
            anonymous: {
              status: 401,
              challenge: expect.stringMatching(
                challengePattern((await contractOf(name)).challenge),
              ) as unknown as string,
            },
            client: { [`/demo/${name}`]: [200, 'bob'], '/me': [200, 'bob'] },
          };
      const signIns = ceremonies.flatMap((name) => issuers.map((issuer) => [`${name} as ${issuer}`, 200]));
      const ceremonyStatuses = Object.fromEntries(signIns) as Observation['ceremonyStatuses'];
      expect(observation).toEqual({
        listed: remaining.map(({ name }) => name),
        removedRouteStatus: 404,
        responses,
        ceremonyStatuses,
      });
    },
    900_000,
  );
});
