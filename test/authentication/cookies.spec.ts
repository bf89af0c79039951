import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { AuthRequest } from '../../src/authentication/request.js';

const cookies = (field: string | undefined, name = '__Host-session'): string[] =>
  AuthRequest.prototype.cookies.call({ header: () => field } as unknown as AuthRequest, name);

describe('a cookie', () => {
  it('is found at any position, and only by its exact name', () => {
    expect(cookies('a=b; __Host-session=x; c=d')).toEqual(['x']);
    expect(cookies('a=b;\t__Host-session=x=y')).toEqual(['x=y']);
    for (const field of [
      undefined,
      '',
      'session=x',
      'a__Host-session=x',
      '__host-session=x',
      '\u00a0__Host-session=x',
      '__Host-session',
    ])
      expect(cookies(field)).toEqual([]);
  });

  it('that came twice has both values', () => {
    expect(cookies('__Host-session=x;__Host-session=y')).toEqual(['x', 'y']);
  });

  it('is read from any header without an error', () => {
    fc.assert(
      fc.property(fc.string(), (field) => {
        expect(Array.isArray(cookies(field, 'a'))).toBe(true);
      }),
    );
  });
});
