import { RateLimiterPostgres, RateLimiterSQLite } from 'rate-limiter-flexible';
import type { DataSource, EntityManager } from 'typeorm';
import { isPostgres } from '../database/columns.js';

export type Counter = RateLimiterSQLite | RateLimiterPostgres;

/**
 * A counter in the table `login_failures`, full at so many points in so many seconds from the first of them. Its
 * calls belong {@link withCounterConnection}.
 * @param keyPrefix keeps the rows of several counters apart
 */
export function createCounter(
  dataSource: DataSource,
  keyPrefix: string,
  points: number,
  seconds: number,
): Counter {
  const common = {
    keyPrefix,
    points,
    duration: seconds,
    tableName: 'login_failures',
    tableCreated: true,
    clearExpiredByTimeout: false,
  };
  if (isPostgres(dataSource))
    return new RateLimiterPostgres({ ...common, storeClient: dataSource, storeType: 'typeorm' });
  const { databaseConnection } = dataSource.driver as unknown as { databaseConnection: unknown };
  return new RateLimiterSQLite({ ...common, storeClient: databaseConnection, storeType: 'better-sqlite3' });
}

/**
 * On SQLite the counters use the one connection that everybody shares, and would be rolled back with whichever
 * transaction is open on it: so they take their turn as a transaction of their own, in which they are savepoints.
 * On PostgreSQL they take connections from the pool, one statement each.
 */
export function withCounterConnection<T>(
  dataSource: DataSource,
  work: (manager: EntityManager) => Promise<T>,
): Promise<T> {
  return isPostgres(dataSource) ? work(dataSource.manager) : dataSource.transaction(work);
}
