import type { LoadMessage } from './load.js';
import { lowest, measure, type Route } from './measure.js';
import type { Process } from './processes.js';
import { referenceCost } from './reference.js';
import type { Tables } from './tables.js';

/**
 * CPU time per request, divided by that of node:http and by {@link referenceCost}. `npm run bench -- --check` prints the present figures.
 * After a change of a route's cost that is intended, copy the highest of several runs.
 */
const COMMITTED_RATIOS: Readonly<Record<string, { readonly http: number; readonly reference: number }>> = {
  open: { http: 3.4, reference: 5 },
  'api-key': { http: 6.2, reference: 9 },
  page: { http: 32, reference: 95 },
};

/** The ratio may grow by this factor. */
const TOLERANCE = 1.25;

const DURATION = { warmUp: 3_000, rounds: 20, load: 0.2 };

/** Other work of the machine makes requests cost more for minutes. A slower route is slower each time. */
const ATTEMPTS = 4;

/** @returns whether no route is too slow, in one of several attempts */
export async function check(loader: Process<LoadMessage>, tables: Tables): Promise<boolean> {
  const routes = await tables.check();
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) if (await isFastEnough(loader, routes)) return true;
  return false;
}

/**
 * Compares the cost of a request with the committed one, and prints it. A route is too slow if both ratios say so: the first depends on
 * the processor's system calls, and the second on its memory.
 */
async function isFastEnough(loader: Process<LoadMessage>, routes: readonly Route[]): Promise<boolean> {
  const { rows } = await measure(loader, '', routes, DURATION);
  const cpuOf = (name: string) => lowest(rows.get(name)!.map(({ cpu }) => cpu));
  const cost = referenceCost();
  let isGood = true;
  for (const [name, committed] of Object.entries(COMMITTED_RATIOS)) {
    const http = cpuOf(name) / cpuOf('node:http');
    const reference = cpuOf(name) / cost;
    const isTooSlow = http > committed.http * TOLERANCE && reference > committed.reference * TOLERANCE;
    if (isTooSlow) isGood = false;
    const verdict = isTooSlow ? `FAILED: more than ${TOLERANCE} times` : 'passed';
    process.stdout.write(
      `${name}: ${http.toFixed(1)} × node:http, committed ${committed.http}; ` +
        `${reference.toFixed(2)} × reference, committed ${committed.reference}: ${verdict}\n`,
    );
  }
  return isGood;
}
