import type { Proof, Role } from '../../src/authentication/principal.js';
import { CLASSIFICATIONS, STATUSES } from '../../src/documents/document.entity.js';

/** The dimensions of every decision over a document. */
export const DIMENSIONS = {
  action: ['create', 'read', 'update', 'publish', 'classify', 'share', 'delete'],
  role: ['admin', 'editor', 'viewer', 'auditor'],
  proof: ['password', 'old second factor', 'fresh second factor', 'bound', 'bound, fresh second factor'],
  document: ['own', "colleague's", 'shared: read', 'shared: update', "other tenant's"],
  status: STATUSES,
  classification: CLASSIFICATIONS,
} as const;

export type Cell = { readonly [K in keyof typeof DIMENSIONS]: (typeof DIMENSIONS)[K][number] };

/** `allowed` (with the fields that a reader does not get), or the status of the refusal. */
export type Outcome =
  'allowed' | 'allowed, without notes, shares' | 'allowed, without body' | 403 | 404 | 422;

interface Row extends Partial<{ readonly [K in keyof Cell]: readonly Cell[K][] }> {
  readonly answer: Outcome;
  readonly because: string;
}

const UNBOUND = ['password', 'old second factor', 'fresh second factor'] as const;
const NO_FRESH_FACTOR = ['password', 'old second factor', 'bound'] as const;
const WRITERS: readonly Role[] = ['admin', 'editor'];
const GUARDED = ['confidential', 'secret'] as const;

/**
 * The whole policy, said a second time and independently: read from the top, the first row that fits decides.
 * What a row does not mention may be anything. `test/authorization/matrix.e2e-spec.ts` asks the running API about every
 * combination, and `docs/reference/policy.md` shows these rows.
 */
export const MATRIX: readonly Row[] = [
  {
    action: ['create', 'delete'],
    role: ['viewer', 'auditor'],
    answer: 403,
    because: 'only admins and editors create and delete, so no document is even looked at',
  },
  {
    action: ['create'],
    classification: ['secret'],
    proof: UNBOUND,
    answer: 403,
    because: 'secret needs a bound proof',
  },
  {
    action: ['create'],
    role: ['editor'],
    classification: GUARDED,
    answer: 403,
    because: 'only an admin classifies that high',
  },
  {
    action: ['create'],
    role: ['editor'],
    status: ['published', 'archived'],
    answer: 403,
    because: 'an editor begins with a draft',
  },
  { action: ['create'], role: WRITERS, answer: 'allowed', because: 'admins and editors create' },

  { document: ["other tenant's"], answer: 404, because: 'other tenants do not exist' },
  {
    classification: ['secret'],
    proof: UNBOUND,
    answer: 404,
    because: 'secret is hidden from unbound proofs',
  },

  {
    action: ['read'],
    role: ['admin'],
    answer: 'allowed',
    because: 'an admin reads everything of the tenant',
  },
  {
    action: ['read'],
    role: ['auditor'],
    answer: 'allowed, without body',
    because: 'an auditor reads everything but bodies',
  },
  {
    action: ['read'],
    role: ['editor'],
    document: ['own'],
    answer: 'allowed',
    because: 'an editor reads its own',
  },

  {
    action: ['delete'],
    role: ['admin'],
    classification: GUARDED,
    proof: NO_FRESH_FACTOR,
    answer: 403,
    because: 'that needs a fresh second factor',
  },
  { role: ['admin'], answer: 'allowed', because: 'an admin does everything in the tenant' },

  {
    action: ['classify'],
    role: ['editor'],
    document: ['own'],
    status: ['draft'],
    answer: 403,
    because: 'only an admin classifies that high',
  },
  {
    action: ['delete'],
    role: ['editor'],
    document: ['own'],
    status: ['draft'],
    classification: GUARDED,
    proof: NO_FRESH_FACTOR,
    answer: 403,
    because: 'that needs a fresh second factor',
  },
  {
    role: ['editor'],
    document: ['own'],
    status: ['draft'],
    answer: 'allowed',
    because: 'an editor does everything with its own drafts',
  },

  {
    action: ['read'],
    document: ['shared: read', 'shared: update'],
    answer: 'allowed, without notes, shares',
    because: 'it is shared with the caller',
  },
  {
    action: ['update'],
    document: ['shared: update'],
    answer: 'allowed',
    because: 'it is shared for updating',
  },
  {
    action: ['publish', 'classify', 'share'],
    document: ['shared: update'],
    answer: 422,
    because: 'a share opens title and body only',
  },
  {
    action: ['read'],
    status: ['published'],
    classification: ['public', 'internal'],
    answer: 'allowed, without notes, shares',
    because: 'everybody reads what is published',
  },

  {
    document: ['shared: read', 'shared: update'],
    answer: 403,
    because: 'the caller sees it, and that is all',
  },
  {
    status: ['published'],
    classification: ['public', 'internal'],
    answer: 403,
    because: 'the caller sees it, and that is all',
  },
  { role: ['auditor'], answer: 403, because: 'an auditor sees it, and that is all' },
  {
    role: ['editor'],
    document: ['own'],
    answer: 403,
    because: 'what is no draft any more is not changed by its editor',
  },
  { answer: 404, because: 'what the caller may not see does not exist' },
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
  password: (now) => proof(now, ['pwd'], false),
  'old second factor': (now) => proof(now - 6 * 60_000, ['pwd', 'otp', 'mfa'], false),
  'fresh second factor': (now) => proof(now - 60_000, ['pwd', 'otp', 'mfa'], false),
  bound: (now) => proof(now, ['swk'], true),
  'bound, fresh second factor': (now) => proof(now, ['hwk', 'mfa'], true),
};

const proof = (at: number, amr: string[], bound: boolean): Proof => ({
  method: 'test',
  at: new Date(at),
  amr,
  bound,
});

/** The rows as a table, for the documentation. */
export function matrixTable(): string {
  const names = Object.keys(DIMENSIONS) as (keyof Cell)[];
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [
    line([...names, 'answer', 'because']),
    line([...names, '', ''].map(() => '---')),
    ...MATRIX.map((row) =>
      line([
        ...names.map((name) => (row[name] as readonly string[] | undefined)?.join(', ') ?? ''),
        String(row.answer),
        row.because,
      ]),
    ),
  ].join('\n');
}
