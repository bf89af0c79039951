import { describe, expect, it } from '@jest/globals';
import { parseClaims, validityFault } from '../../src/access-tokens/access-token-claims.js';

const NOW = Date.UTC(2026, 10, 30);
const second = NOW / 1000;
const LAST_SECOND = 253_402_300_799;

describe('the claims of an access token', () => {
  it.each(['iat', 'nbf', 'exp', 'auth_time'])(
    'are invalid if %s is not a time before the year 10000',
    (name) => {
      const claims = { sub: 'bob', exp: second + 60 };
      expect(parseClaims({ ...claims, [name]: LAST_SECOND })).toMatchObject({ [name]: LAST_SECOND });
      for (const value of [LAST_SECOND + 1, 1e15, -1, 1.5, String(second), null])
        expect(parseClaims({ ...claims, [name]: value })).toBe(`invalid claim: ${name}`);
    },
  );

  it.each(['iat', 'nbf', 'auth_time'])('are not yet valid if %s lies in the future', (name) => {
    expect(validityFault({ exp: second + 60, [name]: second + 5 }, NOW)).toBeUndefined();
    expect(validityFault({ exp: second + 60, [name]: second + 6 }, NOW)).toBe('not yet valid');
  });
});
