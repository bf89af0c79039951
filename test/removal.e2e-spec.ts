import { afterAll, describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { METHODS } from '../src/app.module.js';
import { contractOf } from './contracts.js';
import { Workshop, methodNames } from './copies/copy.js';
import type { Answers } from './copies/knock.js';
import type { Seen } from './copies/removed.js';

const INDEX = 'src/methods/index.ts';

/** The barrel without a method's line. */
function indexWithout(method: string): string {
  const lines = readFileSync(INDEX, 'utf8').split('\n');
  const left = lines.filter((line) => !line.includes(`'./${method}/`));
  expect(lines.length - left.length).toBe(1);
  return left.join('\n');
}

describe('a method is removed by deleting its folder and its line', () => {
  const workshop = new Workshop();
  /** While one application without a method runs, the next one compiles. */
  const running = new Map<string, Promise<unknown>>();
  afterAll(() => workshop.remove());

  it.each(methodNames)('%s: everything else compiles', (removed) => {
    const copy = workshop.project(removed);
    copy.add('src', (file) => file === `src/methods/${removed}`);
    copy.add('test', (file) => file.startsWith(`test/methods/${removed}.`));
    copy.write(INDEX, indexWithout(removed));
    expect(copy.has(`src/methods/${removed}`)).toBe(false);
    expect(copy.compile()).toEqual([]);
    running.set(removed, copy.run('test/copies/removed', [removed]));
  });

  it.each(methodNames)('%s: everything else works', async (removed) => {
    expect([...running.keys()]).toContain(removed);
    const seen = (await running.get(removed)) as Seen;
    const left = METHODS.filter(({ name }) => name !== removed);
    const ceremonies = left.filter(({ strategy }) => !strategy).map(({ name }) => name);
    if (ceremonies.length && !left.some(({ issuer }) => issuer)) {
      expect(seen.refused).toContain(`${ceremonies.join(', ')} ends in an issuer, and none is installed`);
      return;
    }
    const answers: Record<string, Answers> = {};
    for (const { name, strategy } of left)
      if (strategy)
        answers[name] = {
          nobody: { status: 401, challenge: (await contractOf(name)).challenge },
          client: { [`/demo/${name}`]: [200, 'bob'], '/me': [200, 'bob'] },
        };
    expect(seen).toEqual({ listed: left.map(({ name }) => name), gone: 404, answers });
  });
});
