/**
 * Loaded into a server with `node --expose-gc --import`. At each SIGUSR2 it collects the young generation, and prints the size
 * of the heap: the bytes that no request needs, and that only a full collection would free, included.
 */
let reports = 0;
process.on('SIGUSR2', () => {
  globalThis.gc({ type: 'minor' });
  globalThis.gc({ type: 'minor' });
  process.stdout.write(`\nheap ${++reports}: ${process.memoryUsage().heapUsed}\n`);
});
