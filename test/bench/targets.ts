import { gcShareOf, ratioOf, type Sample } from './measure.js';
import { markdownTable } from './report.js';
import type { TableName } from './tables.js';

/** The samples of the measured tables. */
export type Measured = ReadonlyMap<TableName, ReadonlyMap<string, readonly Sample[]>>;

/** The CPU time of a page in commit d328e85, before the page was optimised, divided by that of node:http. Measured by `--quick`. */
const FORMER_PAGE = 51;

/** Node 24 has limits of its own. */
const isNode24 = Number(process.versions.node.split('.')[0]) >= 24;

interface Target {
  readonly name: string;
  readonly table: TableName;
  /** The limits on Node 20 and on Node 24. */
  readonly limits: readonly [number, number];
  readonly is: 'at most' | 'at least';
  readonly measure: (samples: (route: string) => readonly Sample[]) => number;
}

const GUARDED = ['api-key', 'session', 'jwt'];

const TARGETS: readonly Target[] = [
  ...[
    { route: 'open', limits: [2.7, 2.4] as const },
    ...GUARDED.map((route) => ({ route, limits: [5, 4.5] as const })),
    { route: 'basic', limits: [5.5, 5] as const },
  ].map(({ route, limits }): Target => ({
    name: `CPU: ${route} ÷ node:http`,
    table: 'routes',
    limits,
    is: 'at most',
    measure: (samples) => ratioOf(samples(route), samples('node:http')),
  })),
  {
    name: 'rate: open ÷ Nest on Fastify',
    table: 'routes',
    limits: [0.48, 0.55],
    is: 'at least',
    measure: (samples) => ratioOf(samples('open'), samples('Nest on Fastify'), 'perSecond'),
  },
  ...GUARDED.map((route): Target => ({
    name: `rate: ${route} ÷ open`,
    table: 'routes',
    limits: [0.45, 0.52],
    is: 'at least',
    measure: (samples) => ratioOf(samples(route), samples('open'), 'perSecond'),
  })),
  {
    name: 'rate: page ÷ page of commit d328e85',
    table: 'routes',
    limits: [1.9, 2.5],
    is: 'at least',
    measure: (samples) => FORMER_PAGE / ratioOf(samples('page'), samples('node:http')),
  },
  {
    name: 'GC share of CPU: open',
    table: 'routes',
    limits: [0.06, 0.06],
    is: 'at most',
    measure: (samples) => gcShareOf(samples('open')),
  },
  {
    name: 'rate: POST /oidc/token ÷ oidc-provider alone',
    table: 'tokens',
    limits: [0.55, 0.55],
    is: 'at least',
    measure: (samples) => ratioOf(samples('POST /oidc/token'), samples('oidc-provider alone'), 'perSecond'),
  },
  {
    name: 'CPU: page of 1,000,000 ÷ of 1,000 rows',
    table: 'rows',
    limits: [1.1, 1.1],
    is: 'at most',
    measure: (samples) => ratioOf(samples('1,000,000 documents'), samples('1,000 documents')),
  },
  {
    name: 'CPU: one of 1,000,000 ÷ of 1,000 keys',
    table: 'keys',
    limits: [1.1, 1.1],
    is: 'at most',
    measure: (samples) => ratioOf(samples('1,000,000 keys'), samples('1,000 keys')),
  },
];

/** The targets of the measured tables as Markdown; empty if there are none. */
export function reportTargets(measured: Measured): string {
  const lines = TARGETS.filter(({ table }) => measured.has(table)).map(
    ({ name, table, limits, is, measure }) => {
      const figure = measure((route) => measured.get(table)!.get(route)!);
      return [name, `${is} ${limits[isNode24 ? 1 : 0]}`, figure.toFixed(2)];
    },
  );
  if (!lines.length) return '';
  return ['### Targets\n', ...markdownTable(['figure', 'target', 'measured'], lines), ''].join('\n');
}
