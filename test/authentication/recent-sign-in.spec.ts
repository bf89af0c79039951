import { describe, expect, it } from '@jest/globals';
import { isRecent, type Principal, type Proof } from '../../src/authentication/principal.js';
import { assertRecentSignIn } from '../../src/authentication/step-up.js';

const ago = (seconds: number): Proof => ({
  method: 'test',
  at: new Date(Date.now() - seconds * 1000),
  amr: ['pwd'],
  bound: false,
  signIn: true,
});
const NEVER: Proof = { ...ago(0), at: new Date(0) };
const UNREADABLE: Proof = { ...ago(0), at: new Date(NaN) };

describe('a sign-in is recent', () => {
  it('for the given time', () => {
    expect([ago(0), ago(290), ago(301)].map((proof) => isRecent(proof, 300))).toEqual([true, true, false]);
  });

  it('not if its time is unknown, unreadable or in the future', () => {
    for (const proof of [NEVER, UNREADABLE, ago(-60), ago(-86_400)]) expect(isRecent(proof, 300)).toBe(false);
  });

  it('although the clock of another process is a few seconds ahead', () => {
    expect(isRecent(ago(-2), 300)).toBe(true);
  });

  it('only if a single proof is both recent and a sign-in', () => {
    const caller = { proofs: [ago(-60), NEVER, { ...ago(0), method: 'api-key' }] } as unknown as Principal;
    expect(() => assertRecentSignIn(caller, ({ method }) => method === 'test')).toThrow(
      expect.objectContaining({ status: 403 }),
    );
  });
});
