import { createRequire } from 'node:module';

const load = createRequire(import.meta.url);

/**
 * The SQLite library for this Node. better-sqlite3 13 stands on Node-API 10, which came with Node 22.14; 12 serves the
 * older ones, and would end the process on Node 24.19 and newer, where its statements must not be garbage-collected.
 */
export const sqliteDriver: unknown = load(
  Number(process.versions.napi) >= 10 ? 'better-sqlite3-13' : 'better-sqlite3',
);
