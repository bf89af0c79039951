import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { isLocalPath } from '../../src/authentication/local-path.js';

const RUNS = { numRuns: 10_000 };

describe('isLocalPath', () => {
  const ORIGIN = 'https://api.atlas.test';
  /** Texts of characters that have a meaning in URLs. */
  const texts = fc.string({
    unit: fc.constantFrom(...'/\\.:@?#%25evil\t\n\r \u0000\u00e9;&=['),
    maxLength: 20,
  });

  it('accepts no text that leads to another origin', () => {
    fc.assert(
      fc.property(
        fc.oneof(texts, fc.string(), fc.webUrl()),
        fc.constantFrom('', '/', '//'),
        (text, start) => {
          const path = start + text;
          if (!isLocalPath(path)) return;
          expect(new URL(path, ORIGIN).origin).toBe(ORIGIN);
          expect(path).toMatch(/^[\x21-\x7e]+$/);
        },
      ),
      RUNS,
    );
  });

  it('accepts every path with a query', () => {
    fc.assert(
      fc.property(fc.webPath(), fc.webQueryParameters(), (path, query) => {
        const text = `/${path.replace(/^\/+/, '')}?${query}`;
        expect(isLocalPath(text)).toBe(true);
      }),
      RUNS,
    );
  });
});
