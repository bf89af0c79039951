import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readFileSync, readdirSync } from 'node:fs';
import { INSTALLED_METHODS } from '../src/app.module.js';
import { challengePattern, contractOf } from './support/contracts.js';
import { Workshop, type Copy } from './support/copies/copy.js';
import type { Answers } from './support/copies/knock.js';
import type { Seen } from './support/copies/removed.js';

const INDEX = 'src/methods/index.ts';
const methods = readdirSync('src/methods').filter((name) => !name.endsWith('.ts'));

/** The barrel without a method's line. */
function indexWithout(method: string): string {
  const lines = readFileSync(INDEX, 'utf8').split('\n');
  const left = lines.filter((line) => !line.includes(`'./${method}/`));
  expect(lines.length - left.length).toBe(1);
  return left.join('\n');
}

describe('a method is removed by deleting its folder and its line', () => {
  const workshop = new Workshop();
  const copies = new Map<string, Copy>();
  const running = new Map<string, Promise<unknown>>();
  afterAll(() => workshop.remove());

  beforeAll(async () => {
    for (const method of methods) {
      const copy = workshop.copy(method);
      copy.add('src', (file) => file === `src/methods/${method}`);
      copy.add('test', (file) => file.startsWith(`test/methods/${method}.`));
      copy.write(INDEX, indexWithout(method));
      copies.set(method, copy);
    }
    for await (const copy of workshop.compile())
      running.set(copy.name, workshop.run(copy, 'test/support/copies/removed', [copy.name]));
  }, 300_000);

  it.each(methods)('%s: everything else compiles', (removed) => {
    expect(copies.get(removed)?.complaints).toEqual([]);
  });

  it.each(methods)('%s: everything else works', async (removed) => {
    const seen = (await running.get(removed)) as Seen;
    const left = INSTALLED_METHODS.filter(({ name }) => name !== removed);
    const ceremonies = left.filter(({ strategy }) => !strategy).map(({ name }) => name);
    const issuers = left.filter(({ issuer }) => issuer).map(({ name }) => name);
    if (ceremonies.length && !issuers.length) {
      expect(seen.refused).toContain(`${ceremonies.join(', ')} ends in an issuer, and none is installed`);
      return;
    }
    const answers: Record<string, Answers> = {};
    for (const { name, strategy } of left)
      if (strategy)
        answers[name] = {
          nobody: {
            status: 401,
            challenge: expect.stringMatching(
              challengePattern((await contractOf(name)).challenge),
            ) as unknown as string,
          },
          client: { [`/demo/${name}`]: [200, 'bob'], '/me': [200, 'bob'] },
        };
    const ends = ceremonies.flatMap((name) => issuers.map((issuer) => [`${name} as ${issuer}`, 200]));
    const entered = Object.fromEntries(ends) as Seen['entered'];
    expect(seen).toEqual({ listed: left.map(({ name }) => name), gone: 404, answers, entered });
  });
});
