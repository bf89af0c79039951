import type { DataSource } from 'typeorm';
import type { BetterSqlite3Driver } from 'typeorm/driver/better-sqlite3/BetterSqlite3Driver.js';
import { BetterSqlite3QueryRunner } from 'typeorm/driver/better-sqlite3/BetterSqlite3QueryRunner.js';

/**
 * Serializes transactions on SQLite. TypeORM shares its one connection, so a query during another request's
 * transaction would be rolled back with it. A transaction therefore locks the connection, and other queries wait.
 *
 * Inside `dataSource.transaction(work)` use the manager that `work` receives; the data source's own manager would
 * deadlock.
 */
export function serializeTransactions(dataSource: DataSource): void {
  const driver = dataSource.driver as BetterSqlite3Driver;
  const lock = new ConnectionLock();
  const statements = new Map();
  driver.createQueryRunner = () => new SerializedQueryRunner(driver, lock, statements);
}

class ConnectionLock {
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
    private readonly lock: ConnectionLock,
    statements: Map<string, unknown>,
  ) {
    super(driver);
    // Prepared statements belong to the connection, so all its runners share them.
    Object.assign(this, { stmtCache: statements });
  }

  override async startTransaction(isolation?: Parameters<BetterSqlite3QueryRunner['startTransaction']>[0]) {
    if (!this.hasLock) await this.lock.acquire();
    this.hasLock = true;
    await super.startTransaction(isolation);
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
    // A transaction that reads first and then writes would fail if another process wrote in between.
    if (this.hasLock) return super.query(sql === 'BEGIN TRANSACTION' ? 'BEGIN IMMEDIATE' : sql, ...rest);
    const waiting = this.lock.acquire();
    if (waiting) await waiting;
    try {
      return await super.query(sql, ...rest);
    } finally {
      this.lock.release();
    }
  }

  private finish(): void {
    if (this.hasLock) this.lock.release();
    this.hasLock = false;
  }
}
