import type { LoadMessage } from './load.js';
import { measure, ratioOf } from './measure.js';
import type { Process } from './processes.js';
import type { Tables } from './tables.js';

/**
 * CPU time per request, divided by that of node:http. `npm run bench -- --check` prints the present figures. After a change of
 * a route's cost that is intended, copy the highest of several runs: the ratio depends on the cost of the machine's sockets.
 */
const COMMITTED_RATIOS: Readonly<Record<string, number>> = { open: 3.4, 'api-key': 6.2, page: 32 };

/** The ratio may grow by this factor. On a busy machine it varies by a tenth. */
const TOLERANCE = 1.25;

const DURATION = { warmUp: 3_000, rounds: 20, load: 0.2 };

/** Compares the cost of a request with the committed one, and prints it. @returns whether every route is within the tolerance */
export async function check(loader: Process<LoadMessage>, tables: Tables): Promise<boolean> {
  const { rows } = await measure(loader, '', await tables.check(), DURATION);
  let isGood = true;
  for (const [name, committed] of Object.entries(COMMITTED_RATIOS)) {
    const ratio = ratioOf(rows.get(name)!, rows.get('node:http')!);
    const isTooSlow = ratio > committed * TOLERANCE;
    if (isTooSlow) isGood = false;
    const verdict = isTooSlow ? `FAILED: more than ${TOLERANCE} times` : 'passed';
    process.stdout.write(`${name}: ${ratio.toFixed(1)} × node:http, committed ${committed}: ${verdict}\n`);
  }
  return isGood;
}
