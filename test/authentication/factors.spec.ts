import { describe, expect, it } from '@jest/globals';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import {
  ACRS,
  FACTORS,
  acrOf,
  amrWithAcr,
  completedAmr,
  provesSecondFactor,
  reachedAcrs,
  type FactorProperties,
} from '../../src/authentication/factors.js';

const TABLE = 'authentication/factors.ts';
const rows = Object.entries(FACTORS as Readonly<Record<string, FactorProperties>>);

describe('the table of factors', () => {
  it('is the only place of amr and acr values', () => {
    const values = new Set([...ACRS, ...rows.flatMap(([, { amr }]) => amr)]);
    const literal = new RegExp(`'(${[...values].join('|')})'`);
    const copies = (readdirSync('src', { recursive: true }) as string[])
      .filter((file) => file.endsWith('.ts') && file !== TABLE)
      // The word `user` also names a kind of account.
      .flatMap((file) =>
        readFileSync(join('src', file), 'utf8')
          .split('\n')
          .filter((line) => literal.test(line.replaceAll("'user'", '')))
          .map((line) => `${file}: ${line.trim()}`),
      );
    expect(copies).toEqual([]);
  });

  it('is in the guide about step-ups', () => {
    const guide = readFileSync('docs/guides/step-up.md', 'utf8');
    const expected = rows.map(([name, { kinds, phishingResistant, amr, acr }]) => {
      const cells = [
        `\`${name}\``,
        kinds.join(' and ') || 'as the provider says',
        phishingResistant ? 'yes' : 'no',
        amr.map((each) => `\`${each}\``).join(', ') || 'as the provider says',
        [acr.alone, acr.combined].map((each) => (each ? `\`${each}\`` : 'none')).join(' / '),
      ];
      return `| ${cells.join(' | ')} |`;
    });
    expect(guide.match(/^\| `.*\|$/gm)).toEqual(expected);
  });

  it.each(rows)(
    '%s: its amr reaches the acr of the table, alone and completed',
    (_name, { amr, acr, first, second }) => {
      if (first) expect(acrOf(amr)).toBe(acr.alone);
      const other = second ? FACTORS.password.amr : FACTORS.totp.amr;
      const completed = second ? completedAmr(other, amr) : completedAmr(amr, other);
      if (acr.combined) expect(acrOf(completed)).toBe(acr.combined);
    },
  );

  it('counts a context class with all weaker ones', () => {
    expect(reachedAcrs(FACTORS.passkey.amr)).toEqual(['pwd', 'mfa', 'phr']);
    expect(reachedAcrs(['pwd', 'otp'])).toEqual(['pwd', 'mfa']);
    expect(reachedAcrs(['pwd'])).toEqual(['pwd']);
    expect(reachedAcrs(['pop'])).toEqual([]);
    expect(reachedAcrs([])).toEqual([]);
  });

  it('counts a mail as no second factor', () => {
    expect(provesSecondFactor(FACTORS['magic-link'].amr)).toBe(false);
  });

  it("takes a trusted token's acr for a second factor only if it is one", () => {
    expect(amrWithAcr(['pwd'], 'mfa')).toEqual(['pwd', 'mfa']);
    expect(amrWithAcr(['swk'], 'phr')).toEqual(['swk', 'mfa']);
    for (const acr of ['pwd', 'urn:unknown', '', undefined])
      expect(amrWithAcr(['pwd'], acr)).toEqual(['pwd']);
  });
});
