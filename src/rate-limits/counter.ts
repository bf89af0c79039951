import { RateLimiterPostgres, RateLimiterRes, RateLimiterSQLite } from 'rate-limiter-flexible';
import type { DataSource, EntityManager } from 'typeorm';
import { integerFromRow, isPostgres } from '../database/columns.js';

export type Counter = RateLimiterSQLite | RateLimiterPostgres;

/** A counter and the key of the row to count on. */
export type CounterKey = readonly [counter: Counter, key: string];

/**
 * Creates a counter in the table `login_failures`, full at `points` within `seconds` of the first one. Its methods run
 * inside {@link withCounterConnection}.
 * @param keyPrefix separates the rows of different counters
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
 * @returns the milliseconds until the counter expires if it is full; undefined if it is not
 * @throws UnreadableValue
 */
export async function fullFor([counter, key]: CounterKey): Promise<number | undefined> {
  const state = await counter.get(key);
  if (!state || integerFromRow(state.consumedPoints) < counter.points) return undefined;
  return integerFromRow(state.msBeforeNext);
}

/**
 * Counts one attempt on each counter in order, and stops at the first that is full.
 * @returns the milliseconds until that counter expires; undefined if none was full
 */
export async function consumeAll(counters: readonly CounterKey[]): Promise<number | undefined> {
  for (const [counter, key] of counters) {
    const state = await counter.consume(key).catch(stateFromRejection);
    if (state.consumedPoints > counter.points) return state.msBeforeNext;
  }
  return undefined;
}

/** Takes one counted attempt back from each counter. */
export async function rewardAll(counters: readonly CounterKey[]): Promise<void> {
  for (const [counter, key] of counters) await counter.reward(key);
}

/**
 * On SQLite the counters use the one connection that all code shares, so an open transaction could roll them back.
 * They therefore run in a transaction of their own. On PostgreSQL each statement takes a connection from the pool.
 */
export function withCounterConnection<T>(
  dataSource: DataSource,
  work: (manager: EntityManager) => Promise<T>,
): Promise<T> {
  return isPostgres(dataSource) ? work(dataSource.manager) : dataSource.transaction(work);
}

/** `consume` rejects with the counter's state if it is full, and with an Error if the database failed. */
function stateFromRejection(rejection: unknown): RateLimiterRes {
  if (rejection instanceof RateLimiterRes) return rejection;
  throw rejection;
}
