import { Injectable } from '@nestjs/common';
import { randomBytes, randomUUID } from 'node:crypto';
import { access } from 'node:fs/promises';
import {
  Column,
  DataSource,
  Entity,
  PrimaryColumn,
  Table,
  type MigrationInterface,
  type QueryRunner,
} from 'typeorm';

/** A row that a check has inserted and deletes again. */
@Entity('write_checks')
export class WriteCheckRow {
  @PrimaryColumn({ type: 'varchar', length: 36 })
  id!: string;

  @Column({ type: 'text' })
  filler!: string;
}

export class WriteChecks1700000501000 implements MigrationInterface {
  name = 'WriteChecks1700000501000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.createTable(
      new Table({
        name: 'write_checks',
        columns: [
          { name: 'id', type: 'varchar', length: '36', isPrimary: true },
          { name: 'filler', type: 'text' },
        ],
      }),
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable('write_checks');
  }
}

/** In base64 8 KiB, a page of PostgreSQL and two of SQLite. It is random, because PostgreSQL compresses text. */
const FILLER_BYTES = 6 * 1024;
/** Anyone may ask whether the process is ready, so the result is kept this long. */
const VALID_MS = 250;

/** Checks whether the database can be written: it may be read-only after a failover, locked, or out of space. */
@Injectable()
export class WriteCheck {
  private running: Promise<void> | undefined;
  private validUntil = 0;

  constructor(private readonly dataSource: DataSource) {}

  /**
   * Commits a row and deletes it. Concurrent calls share one check.
   * @throws Error if that fails
   */
  run(): Promise<void> {
    if (performance.now() < this.validUntil) return Promise.resolve();
    return (this.running ??= this.write().finally(() => (this.running = undefined)));
  }

  private async write(): Promise<void> {
    const { manager, options } = this.dataSource;
    // SQLite writes to a deleted file as before, and everything is lost at the end of the process.
    if (options.type === 'better-sqlite3' && options.database !== ':memory:') await access(options.database);
    // A transaction that is rolled back would not reach the disk. Only new pages show that there is space for more rows.
    await manager.insert(WriteCheckRow, {
      id: randomUUID(),
      filler: randomBytes(FILLER_BYTES).toString('base64'),
    });
    await manager.deleteAll(WriteCheckRow);
    this.validUntil = performance.now() + VALID_MS;
  }
}
