import type { DataSource } from 'typeorm';
import type { BetterSqlite3Driver } from 'typeorm/driver/better-sqlite3/BetterSqlite3Driver.js';
import { BetterSqlite3QueryRunner } from 'typeorm/driver/better-sqlite3/BetterSqlite3QueryRunner.js';

/**
 * SQLite has one connection, and TypeORM shares it: a query that runs while another request's transaction is open
 * would be rolled back with it. Here a transaction takes the connection for its whole length, and every other
 * query waits for its turn.
 *
 * Inside `dataSource.transaction(work)` use the manager that `work` is given; the data source's own would wait for
 * the transaction that waits for it.
 */
export function serializeTransactions(dataSource: DataSource): void {
  const driver = dataSource.driver as BetterSqlite3Driver;
  const turns = new Turns();
  const statements = new Map();
  driver.createQueryRunner = () => new TurnTakingRunner(driver, turns, statements);
}

class Turns {
  private taken = false;
  private readonly waiting: (() => void)[] = [];

  /** @returns when it is the caller's turn; undefined where it is at once */
  take(): Promise<void> | undefined {
    if (this.taken) return new Promise((resolve) => this.waiting.push(resolve));
    this.taken = true;
    return undefined;
  }

  /** The next one's turn, or nobody's. */
  end(): void {
    const next = this.waiting.shift();
    if (next) next();
    else this.taken = false;
  }
}

class TurnTakingRunner extends BetterSqlite3QueryRunner {
  private hasTurn = false;

  constructor(
    driver: BetterSqlite3Driver,
    private readonly turns: Turns,
    statements: Map<string, unknown>,
  ) {
    super(driver);
    // Prepared statements belong to the connection, so all its runners share them.
    Object.assign(this, { stmtCache: statements });
  }

  override async startTransaction(isolation?: Parameters<BetterSqlite3QueryRunner['startTransaction']>[0]) {
    if (!this.hasTurn) await this.turns.take();
    this.hasTurn = true;
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

  /** TypeORM releases the runner of every transaction, also of one that could not even be rolled back. */
  override async release() {
    await super.release();
    this.finish();
  }

  override async query(...[sql, ...rest]: Parameters<BetterSqlite3QueryRunner['query']>) {
    // A transaction that starts with a read and then writes would fail where another process wrote in between.
    if (this.hasTurn) return super.query(sql === 'BEGIN TRANSACTION' ? 'BEGIN IMMEDIATE' : sql, ...rest);
    const turn = this.turns.take();
    if (turn) await turn;
    try {
      return await super.query(sql, ...rest);
    } finally {
      this.turns.end();
    }
  }

  private finish(): void {
    if (this.hasTurn) this.turns.end();
    this.hasTurn = false;
  }
}
