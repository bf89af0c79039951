import { RateLimiterPostgres, RateLimiterSQLite } from 'rate-limiter-flexible';
import type { DataSource } from 'typeorm';
import { isPostgres } from '../database/index.js';

export type Counter = RateLimiterSQLite | RateLimiterPostgres;

const WINDOW_SECONDS = 15 * 60;

/**
 * A counter in the table `login_failures`, full at so many points in a quarter of an hour from the first of them.
 * @param keyPrefix keeps the rows of several counters apart
 */
export function counterFor(dataSource: DataSource, keyPrefix: string, points: number): Counter {
  const common = {
    keyPrefix,
    points,
    duration: WINDOW_SECONDS,
    tableName: 'login_failures',
    tableCreated: true,
    clearExpiredByTimeout: false,
  };
  if (isPostgres(dataSource))
    return new RateLimiterPostgres({ ...common, storeClient: dataSource, storeType: 'typeorm' });
  const { databaseConnection } = dataSource.driver as unknown as { databaseConnection: unknown };
  return new RateLimiterSQLite({ ...common, storeClient: databaseConnection, storeType: 'better-sqlite3' });
}
