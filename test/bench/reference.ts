import { lowest } from './measure.js';

const ROWS = Array.from({ length: 20 }, (_, i) => ({ id: i, title: `title ${i}`, body: 'body '.repeat(20) }));
const REPETITIONS = 200;
const RUNS = 101;

/**
 * The CPU time of work that no change of this project affects, in microseconds: the JSON of a page. System calls dominate a request of
 * node:http, and processors differ in their cost by a factor of three. They differ less in the cost of this.
 */
export function referenceCost(): number {
  const costs = Array.from({ length: RUNS }, () => {
    const before = process.cpuUsage();
    for (let i = 0; i < REPETITIONS; i++) JSON.parse(JSON.stringify(ROWS));
    const { user, system } = process.cpuUsage(before);
    return (user + system) / REPETITIONS;
  });
  return lowest(costs);
}
