import type { Proof } from '../../src/authentication/principal.js';

/** The dimensions of every decision over the account of a person. */
export const DIMENSIONS = {
  action: ['list', 'invite', 'disable', 'give a role', 'recover'],
  role: ['admin', 'editor', 'viewer', 'auditor'],
  proof: ['password', 'old second factor', 'fresh second factor'],
  account: ['own', "colleague's", "other tenant's", 'machine'],
} as const;

export type Cell = { readonly [K in keyof typeof DIMENSIONS]: (typeof DIMENSIONS)[K][number] };

export type Outcome = 'allowed' | 403 | 404;

interface Row extends Partial<{ readonly [K in keyof Cell]: readonly Cell[K][] }> {
  readonly outcome: Outcome;
  readonly because: string;
}

/** The rules about accounts of people, written a second time. The first row that fits decides. */
export const MATRIX: readonly Row[] = [
  {
    role: ['editor', 'viewer', 'auditor'],
    outcome: 403,
    because: 'only admins manage accounts',
  },
  { action: ['invite'], outcome: 'allowed', because: 'an admin invites into the own tenant' },
  {
    account: ["other tenant's", 'machine'],
    outcome: 404,
    because: 'an admin sees the people of the own tenant here',
  },
  {
    action: ['recover'],
    proof: ['password', 'old second factor'],
    outcome: 403,
    because: 'recovering requires a recent second factor',
  },
  { action: ['recover'], account: ['own'], outcome: 403, because: 'another admin must recover the account' },
  { outcome: 'allowed', because: 'an admin manages the people of the tenant' },
];

export function decide(cell: Cell): Row {
  const fits = (row: Row) =>
    (Object.keys(DIMENSIONS) as (keyof Cell)[]).every((dimension) => {
      const values: readonly string[] | undefined = row[dimension];
      return !values || values.includes(cell[dimension]);
    });
  return MATRIX.find(fits)!;
}

export const PROOFS: Record<Cell['proof'], (now: number) => Proof> = {
  password: (now) => proof(now, ['pwd']),
  'old second factor': (now) => proof(now - 6 * 60_000, ['pwd', 'otp', 'mfa']),
  'fresh second factor': (now) => proof(now - 60_000, ['pwd', 'otp', 'mfa']),
};

const proof = (at: number, amr: string[]): Proof => ({
  method: 'test',
  at: new Date(at),
  amr,
  bound: false,
  signIn: true,
});

/** The rows as the table of the documentation. */
export function matrixTable(): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const values = (row: Row, dimension: keyof Cell) => row[dimension]?.join(', ');
  return [
    line(['action', 'role', 'if', 'response', 'because']),
    line(['---', '---', '---', '---', '---']),
    ...MATRIX.map((row) =>
      line([
        values(row, 'action') ?? 'any',
        values(row, 'role') ?? 'any',
        (['proof', 'account'] as const)
          .filter((dimension) => row[dimension])
          .map((dimension) => `${dimension}: ${values(row, dimension)}`)
          .join('; '),
        String(row.outcome),
        row.because,
      ]),
    ),
  ].join('\n');
}
