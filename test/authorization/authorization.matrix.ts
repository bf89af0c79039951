import type { Proof, Role } from '../../src/authentication/principal.js';
import { CLASSIFICATIONS, STATUSES } from '../../src/documents/document.entity.js';

/** The dimensions of every decision over a document. */
export const DIMENSIONS = {
  action: ['create', 'read', 'update', 'publish', 'classify', 'share', 'delete'],
  role: ['admin', 'editor', 'viewer', 'auditor'],
  proof: ['password', 'old second factor', 'fresh second factor', 'bound', 'bound, fresh second factor'],
  document: ['own', "colleague's", 'shared to read', 'shared to update', "other tenant's"],
  status: STATUSES,
  classification: CLASSIFICATIONS,
} as const;

export type Cell = { readonly [K in keyof typeof DIMENSIONS]: (typeof DIMENSIONS)[K][number] };

/** `allowed`, with the fields that the response lacks, or the status of the rejection. */
export type Outcome =
  'allowed' | 'allowed, without notes, shares' | 'allowed, without body' | 403 | 404 | 422;

interface Row extends Partial<{ readonly [K in keyof Cell]: readonly Cell[K][] }> {
  readonly outcome: Outcome;
  readonly because: string;
}

const UNBOUND = ['password', 'old second factor', 'fresh second factor'] as const;
const NO_FRESH_FACTOR = ['password', 'old second factor', 'bound'] as const;
const WRITERS: readonly Role[] = ['admin', 'editor'];
const GUARDED = ['confidential', 'secret'] as const;

/**
 * The whole policy, written a second time and independently. The first row that fits decides; a dimension that the row
 * lacks may have any value. `test/authorization/matrix.e2e-spec.ts` sends a request for every combination, and
 * `docs/reference/policy.md` contains these rows.
 */
export const MATRIX: readonly Row[] = [
  {
    action: ['create', 'delete'],
    role: ['viewer', 'auditor'],
    outcome: 403,
    because: 'only admins and editors create and delete',
  },
  {
    action: ['create'],
    classification: ['secret'],
    proof: UNBOUND,
    outcome: 403,
    because: 'secret requires a sender-constrained credential',
  },
  {
    action: ['create'],
    role: ['editor'],
    classification: GUARDED,
    outcome: 403,
    because: 'only an admin classifies above internal',
  },
  {
    action: ['create'],
    role: ['editor'],
    status: ['published', 'archived'],
    outcome: 403,
    because: 'an editor creates drafts only',
  },
  { action: ['create'], role: WRITERS, outcome: 'allowed', because: 'admins and editors create' },

  { document: ["other tenant's"], outcome: 404, because: 'documents of other tenants are hidden' },
  {
    classification: ['secret'],
    proof: UNBOUND,
    outcome: 404,
    because: 'secret requires a sender-constrained credential',
  },

  {
    action: ['read'],
    role: ['admin'],
    outcome: 'allowed',
    because: 'an admin reads everything in the tenant',
  },
  {
    action: ['read'],
    role: ['auditor'],
    outcome: 'allowed, without body',
    because: 'an auditor reads everything except bodies',
  },
  {
    action: ['read'],
    role: ['editor'],
    document: ['own'],
    outcome: 'allowed',
    because: 'an editor reads their own documents',
  },

  {
    action: ['delete'],
    role: ['admin'],
    classification: GUARDED,
    proof: NO_FRESH_FACTOR,
    outcome: 403,
    because: 'deleting requires a recent second factor',
  },
  {
    action: ['classify'],
    role: ['admin'],
    classification: GUARDED,
    proof: NO_FRESH_FACTOR,
    outcome: 403,
    because: 'reclassifying requires a recent second factor',
  },
  { role: ['admin'], outcome: 'allowed', because: 'an admin may do everything in the tenant' },

  {
    action: ['classify'],
    role: ['editor'],
    document: ['own'],
    status: ['draft'],
    outcome: 403,
    because: 'only an admin classifies above internal',
  },
  {
    action: ['delete'],
    role: ['editor'],
    document: ['own'],
    status: ['draft'],
    classification: GUARDED,
    proof: NO_FRESH_FACTOR,
    outcome: 403,
    because: 'deleting requires a recent second factor',
  },
  {
    role: ['editor'],
    document: ['own'],
    status: ['draft'],
    outcome: 'allowed',
    because: 'an editor may do everything with their own drafts',
  },

  {
    action: ['read'],
    document: ['shared to read', 'shared to update'],
    outcome: 'allowed, without notes, shares',
    because: 'the document is shared with the caller',
  },
  {
    action: ['update'],
    document: ['shared to update'],
    outcome: 'allowed',
    because: 'the document is shared at the level update',
  },
  {
    action: ['publish', 'classify', 'share'],
    document: ['shared to update'],
    outcome: 422,
    because: 'a share permits title and body only',
  },
  {
    action: ['read'],
    status: ['published'],
    classification: ['public', 'internal'],
    outcome: 'allowed, without notes, shares',
    because: 'everyone reads published documents',
  },

  {
    document: ['shared to read', 'shared to update'],
    outcome: 403,
    because: 'the caller may only read it',
  },
  {
    status: ['published'],
    classification: ['public', 'internal'],
    outcome: 403,
    because: 'the caller may only read it',
  },
  { role: ['auditor'], outcome: 403, because: 'an auditor may only read' },
  {
    role: ['editor'],
    document: ['own'],
    outcome: 403,
    because: 'an editor changes drafts only',
  },
  { outcome: 404, because: 'the caller may not read it' },
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

/** The rows as the table of the documentation. */
export function matrixTable(): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [
    line(['action', 'role', 'if', 'response', 'because']),
    line(['---', '---', '---', '---', '---']),
    ...MATRIX.map((row) =>
      line([
        valuesOf(row, 'action') ?? 'any',
        valuesOf(row, 'role') ?? 'any',
        conditionOf(row),
        String(row.outcome),
        row.because,
      ]),
    ),
  ].join('\n');
}

const LABELS = new Map<unknown, string>([
  [UNBOUND, 'not sender-constrained'],
  [NO_FRESH_FACTOR, 'no recent second factor'],
]);

const valuesOf = (row: Row, dimension: keyof Cell): string | undefined =>
  LABELS.get(row[dimension]) ?? row[dimension]?.join(', ');

function conditionOf(row: Row): string {
  const dimensions = ['proof', 'document', 'status', 'classification'] as const;
  return dimensions
    .filter((dimension) => row[dimension])
    .map((dimension) => `${dimension}: ${valuesOf(row, dimension)}`)
    .join('; ');
}
