import { describe, expect, it } from '@jest/globals';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const sources = (readdirSync('src', { recursive: true }) as string[])
  // The names of audit events look like codes.
  .filter((file) => file.endsWith('.ts') && !file.endsWith('ports.ts'))
  .map((file) => ({ file, text: readFileSync(join('src', file), 'utf8') }));

/** A code in the source: the value of `code`, a constant, or the argument of a function that throws. */
const CODE_PATTERNS = [
  /\bcode(?::| =) '([a-z][a-z\d_]+)'/gi,
  /^(?:export )?const (?:INVALID_\w+|ERROR_CODE) = '([a-z\d_]+)';/gm,
  /(?:BadCredential|Unauthenticated|ambiguous|bad|badRequest)\(\s*'([a-z\d_]+)'/g,
];
/** A code as an argument on its own line. The authorization server has lists of OAuth parameters that look the same. */
const CODE_ON_OWN_LINE = /^\s*'([a-z]+(?:_[a-z\d]+)+)',$/gm;

describe('docs/reference/errors.md', () => {
  const sections = readFileSync('docs/reference/errors.md', 'utf8').split(/^## /m).slice(1);
  // The section of a removed method does not count.
  const installed = sections.filter((section) => {
    const method = /^Of the method (\S+)/.exec(section)?.[1];
    if (section.startsWith('Of the authorization server')) return existsSync('src/authorization-server');
    return !method || existsSync(join('src/methods', method));
  });
  const listed = installed.flatMap((section) =>
    [...section.matchAll(/^\| `([a-z\d_]+)` \| (\d{3}) \| \S/gm)].map(([, code = '', status]) => ({
      code,
      status,
    })),
  );
  const codesInSource = new Set(
    sources.flatMap(({ file, text }) =>
      [...CODE_PATTERNS, ...(file.startsWith('authorization-server/') ? [] : [CODE_ON_OWN_LINE])].flatMap(
        (pattern) => [...text.matchAll(pattern)].map(([, code = '']) => code),
      ),
    ),
  );

  it('lists each code once', () => {
    const codes = listed.map(({ code }) => code);
    expect(codes.length).toBeGreaterThan(20);
    expect(new Set(codes).size).toBe(codes.length);
  });

  it('lists exactly the codes of the source', () => {
    expect(listed.map(({ code }) => code).toSorted()).toEqual([...codesInSource].toSorted());
  });
});
