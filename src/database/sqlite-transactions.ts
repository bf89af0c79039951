import { setTimeout } from 'node:timers/promises';
import type { DataSource } from 'typeorm';
import type { BetterSqlite3Driver } from 'typeorm/driver/better-sqlite3/BetterSqlite3Driver.js';
import { BetterSqlite3QueryRunner } from 'typeorm/driver/better-sqlite3/BetterSqlite3QueryRunner.js';
import type { SqliteDriver } from './row-finder.js';

/** A request waits this long for a write lock that another process holds, and then fails: 503. */
const WRITE_LOCK_WAIT_MS = 5_000;
const POLL_INTERVAL_MS = 5;

/**
 * Serializes transactions on SQLite. TypeORM shares its one connection, so a query during another request's
 * transaction would be rolled back with it. A transaction therefore locks the connection, and other queries wait.
 *
 * Inside `dataSource.transaction(work)` use the manager that `work` receives; the data source's own manager would
 * deadlock.
 */
export function serializeTransactions(dataSource: DataSource): void {
  const driver = dataSource.driver as BetterSqlite3Driver;
  const connection = new SharedConnection();
  driver.createQueryRunner = () => new SerializedQueryRunner(driver, connection);
  const betweenTransactions: SqliteDriver['betweenTransactions'] = (query) => connection.runAtOnce(query);
  Object.assign(driver, { betweenTransactions });
}

/**
 * Makes SQLite report a locked database at once. Its own wait blocks the event loop, so the query runner waits instead. Call it
 * after the migrations, which need the wait.
 */
export function waitWithoutBlocking({ driver }: DataSource): void {
  const { databaseConnection } = driver as unknown as { databaseConnection: { pragma(text: string): void } };
  databaseConnection.pragma('busy_timeout = 0');
}

const isLocked = (error: unknown): boolean =>
  String((error as { code?: unknown } | undefined)?.code).startsWith('SQLITE_BUSY');

class Lock {
  taken = false;
  private readonly waiting: (() => void)[] = [];

  /** @returns undefined if the lock was free */
  acquire(): Promise<void> | undefined {
    if (this.taken) return new Promise((resolve) => this.waiting.push(resolve));
    this.taken = true;
    return undefined;
  }

  release(): void {
    const next = this.waiting.shift();
    if (next) next();
    else this.taken = false;
  }
}

/** TypeORM's one connection, which all requests share. */
class SharedConnection {
  /** Prepared statements belong to the connection, so all its runners share them. */
  readonly statements = new Map<string, unknown>();
  private readonly lock = new Lock();
  /** Only one query at a time polls for a lock of another process. */
  private readonly polling = new Lock();

  /** @param begins whether the query begins a transaction: the connection stays locked if it succeeds */
  run<T>(query: () => T | Promise<T>, begins = false): Promise<T> {
    return this.retryWhileLocked(async () => {
      const waiting = this.lock.acquire();
      if (waiting) await waiting;
      let keepsLock = false;
      try {
        const result = await query();
        keepsLock = begins;
        return result;
      } finally {
        if (!keepsLock) this.unlock();
      }
    });
  }

  /** Runs a synchronous query. While nobody holds the lock, it needs none, and no promises. */
  async runAtOnce<T>(query: () => T): Promise<T> {
    if (this.lock.taken) return this.run(query);
    try {
      return query();
    } catch (error) {
      if (isLocked(error)) return this.run(query);
      throw error;
    }
  }

  unlock(): void {
    this.lock.release();
  }

  /** Other queries run while this one waits: a write lock does not block readers. */
  private async retryWhileLocked<T>(run: () => Promise<T>): Promise<T> {
    const deadline = performance.now() + WRITE_LOCK_WAIT_MS;
    try {
      return await run();
    } catch (error) {
      if (!isLocked(error)) throw error;
    }
    await this.polling.acquire();
    try {
      for (;;) {
        try {
          return await run();
        } catch (error) {
          if (!isLocked(error) || performance.now() >= deadline) throw error;
        }
        await setTimeout(POLL_INTERVAL_MS);
      }
    } finally {
      this.polling.release();
    }
  }
}

class SerializedQueryRunner extends BetterSqlite3QueryRunner {
  private hasLock = false;

  constructor(
    driver: BetterSqlite3Driver,
    private readonly shared: SharedConnection,
  ) {
    super(driver);
    Object.assign(this, { stmtCache: shared.statements });
  }

  override async commitTransaction() {
    await super.commitTransaction();
    if (!this.isTransactionActive) this.finish();
  }

  override async rollbackTransaction() {
    await super.rollbackTransaction();
    if (!this.isTransactionActive) this.finish();
  }

  /** TypeORM releases the runner of every transaction, even if the rollback failed. */
  override async release() {
    await super.release();
    this.finish();
  }

  override async query(...[sql, ...rest]: Parameters<BetterSqlite3QueryRunner['query']>) {
    if (this.hasLock) return super.query(sql, ...rest);
    if (sql !== 'BEGIN TRANSACTION') return this.shared.run(() => super.query(sql, ...rest));
    // A transaction that reads first and then writes would fail if another process wrote in between.
    const result: unknown = await this.shared.run(() => super.query('BEGIN IMMEDIATE', ...rest), true);
    this.hasLock = true;
    return result;
  }

  private finish(): void {
    if (this.hasLock) this.shared.unlock();
    this.hasLock = false;
  }
}
