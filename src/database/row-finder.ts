import { hash } from 'node:crypto';
import type { DataSource } from 'typeorm';
import { isPostgres } from './columns.js';

/** Finds the first row of a query. Takes one value for each parameter. */
export type RowFinder<Row> = (...values: string[]) => Promise<Row | undefined>;

/**
 * A query that every request runs, such as that for its credential: a prepared statement on TypeORM's connection, outside of
 * any transaction. TypeORM's own `query` costs more: see docs/performance.md.
 * @param sql with `?` for each parameter
 */
export function rowFinder<Row>(dataSource: DataSource, sql: string): RowFinder<Row> {
  return isPostgres(dataSource) ? onPostgres(dataSource, sql) : onSqlite(dataSource, sql);
}

/** The parts of TypeORM's drivers that a finder uses. */
export interface SqliteDriver {
  readonly databaseConnection: { prepare(sql: string): Statement };
  /** Runs a query while no transaction is open: see `serializeTransactions`. */
  betweenTransactions?<T>(query: () => T): Promise<T>;
}
interface Statement {
  raw(): this;
  columns(): { readonly name: string }[];
  get(...parameters: string[]): readonly unknown[] | undefined;
}
interface PostgresDriver {
  /** The pool. */
  readonly master?: {
    query(statement: { name: string; text: string; values: string[] }): Promise<{ rows: unknown[] }>;
  };
}

function onSqlite<Row>(dataSource: DataSource, sql: string): RowFinder<Row> {
  const driver = dataSource.driver as unknown as SqliteDriver;
  let statement: Statement | undefined;
  let names: readonly string[] = [];
  const find = (parameters: string[]) => {
    dataSource.logger.logQuery(sql, parameters);
    // At first use, because the migrations may run later than the constructors.
    if (!statement) {
      // The driver would create the names of the columns anew for each row: half the time of a look-up.
      statement = driver.databaseConnection.prepare(sql).raw();
      names = statement.columns().map(({ name }) => name);
    }
    const values = statement.get(...parameters);
    if (!values) return undefined;
    const row: Record<string, unknown> = {};
    for (let i = 0; i < names.length; i++) row[names[i]!] = values[i];
    return row as Row;
  };
  return (...values) => {
    const query = () => find(values);
    return driver.betweenTransactions?.(query) ?? atOnce(query);
  };
}

const atOnce = async <T>(query: () => T): Promise<T> => query();

function onPostgres<Row>(dataSource: DataSource, sql: string): RowFinder<Row> {
  let parameters = 0;
  const text = sql.replaceAll('?', () => `$${++parameters}`);
  // PostgreSQL limits names to 63 bytes.
  const name = hash('sha256', text, 'base64url');
  const driver = dataSource.driver as unknown as PostgresDriver;
  return async (...values) => {
    dataSource.logger.logQuery(text, values);
    if (!driver.master) throw new Error('Driver not Connected');
    const { rows } = await driver.master.query({ name, text, values });
    return rows[0] as Row | undefined;
  };
}
