import { setTimeout } from 'node:timers/promises';
import type { DataSource } from 'typeorm';
import type { BetterSqlite3Driver } from 'typeorm/driver/better-sqlite3/BetterSqlite3Driver.js';
import { BetterSqlite3QueryRunner } from 'typeorm/driver/better-sqlite3/BetterSqlite3QueryRunner.js';

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
  const shared = { connection: new Lock(), polling: new Lock(), statements: new Map<string, unknown>() };
  driver.createQueryRunner = () => new SerializedQueryRunner(driver, shared);
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

interface SharedState {
  readonly connection: Lock;
  /** Only one query at a time polls for a lock of another process. */
  readonly polling: Lock;
  readonly statements: Map<string, unknown>;
}

class Lock {
  private taken = false;
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

class SerializedQueryRunner extends BetterSqlite3QueryRunner {
  private hasLock = false;

  constructor(
    driver: BetterSqlite3Driver,
    private readonly shared: SharedState,
  ) {
    super(driver);
    // Prepared statements belong to the connection, so all its runners share them.
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
    const begins = sql === 'BEGIN TRANSACTION';
    return this.retryWhileLocked(async () => {
      const waiting = this.shared.connection.acquire();
      if (waiting) await waiting;
      try {
        // A transaction that reads first and then writes would fail if another process wrote in between.
        const result: unknown = await super.query(begins ? 'BEGIN IMMEDIATE' : sql, ...rest);
        this.hasLock = begins;
        return result;
      } finally {
        if (!this.hasLock) this.shared.connection.release();
      }
    });
  }

  /** Other queries run while this one waits: a write lock does not block readers. */
  private async retryWhileLocked(run: () => Promise<unknown>): Promise<unknown> {
    const deadline = performance.now() + WRITE_LOCK_WAIT_MS;
    try {
      return await run();
    } catch (error) {
      if (!isLocked(error)) throw error;
    }
    await this.shared.polling.acquire();
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
      this.shared.polling.release();
    }
  }

  private finish(): void {
    if (this.hasLock) this.shared.connection.release();
    this.hasLock = false;
  }
}
