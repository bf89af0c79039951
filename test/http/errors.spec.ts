import { describe, expect, it } from '@jest/globals';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const sources = (readdirSync('src', { recursive: true }) as string[])
  // The names of events look like codes, and are none.
  .filter((file) => file.endsWith('.ts') && !file.endsWith('vocabulary.ts'))
  .map((file) => ({ file, text: readFileSync(join('src', file), 'utf8') }));

/** Where a code is written down: as `code:`, a constant, or the argument of what throws it. */
const WRITTEN = [
  /\bcode(?::| =) '([a-z_]+)'/gi,
  /(?:BadCredential|Unauthenticated|ambiguous|bad)\(\s*'([a-z_]+)'/g,
];
/** As such an argument on a line of its own; but an engine is told lists of its standard's words that look alike. */
const ALONE = /^\s*'([a-z]+(?:_[a-z]+)+)',$/gm;

describe('docs/reference/errors.md', () => {
  const sections = readFileSync('docs/reference/errors.md', 'utf8').split(/^## /m).slice(1);
  // A method that was taken out takes its section's codes along.
  const installed = sections.filter((section) => {
    const method = /^Of the method (\S+)/.exec(section)?.[1];
    return !method || existsSync(join('src/methods', method));
  });
  const listed = installed.flatMap((section) =>
    [...section.matchAll(/^\| `([a-z_]+)` \| (\d{3}) \| \S/gm)].map(([, code = '', status]) => ({
      code,
      status,
    })),
  );
  const written = new Set(
    sources.flatMap(({ file, text }) =>
      [...WRITTEN, ...(file.startsWith('methods/oauth/server/') ? [] : [ALONE])].flatMap((pattern) =>
        [...text.matchAll(pattern)].map(([, code = '']) => code),
      ),
    ),
  );

  it('lists each code once', () => {
    const codes = listed.map(({ code }) => code);
    expect(codes.length).toBeGreaterThan(20);
    expect(new Set(codes).size).toBe(codes.length);
  });

  it('lists exactly the codes that the source can answer', () => {
    expect(listed.map(({ code }) => code).toSorted()).toEqual([...written].toSorted());
  });
});
