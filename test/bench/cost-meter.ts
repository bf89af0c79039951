import { PerformanceObserver, type PerformanceEntry } from 'node:perf_hooks';

/** The cost of a process since its start, in microseconds. */
export interface Cost {
  /** CPU time, user and system, of all threads. */
  readonly cpu: number;
  /** Time for which garbage collections stopped the main thread. Work of other threads meanwhile is only in {@link cpu}. */
  readonly garbageCollection: number;
}

/** A message that a server answers with its {@link Cost}. */
export interface CostRequest {
  readonly cost: true;
}

let garbageCollectionMs = 0;
const add = (entries: readonly PerformanceEntry[]) => {
  for (const { duration } of entries) garbageCollectionMs += duration;
};
const observer = new PerformanceObserver((list) => add(list.getEntries()));
observer.observe({ entryTypes: ['gc'] });

function cost(): Cost {
  add(observer.takeRecords());
  const { user, system } = process.cpuUsage();
  return { cpu: user + system, garbageCollection: garbageCollectionMs * 1000 };
}

/** The part that every server of the benchmark has: reports costs, and exits with the benchmark. */
export function reportCosts(close: () => Promise<void> = async () => {}): void {
  process.on('message', (message: object) => {
    if ('cost' in message) process.send!(cost());
  });
  process.once('disconnect', () => void close().finally(() => process.exit()));
}
