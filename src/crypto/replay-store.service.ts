import { Injectable, ServiceUnavailableException } from '@nestjs/common';
import { createHash } from 'node:crypto';
import { Column, DataSource, Entity, Index, LessThan, PrimaryColumn } from 'typeorm';
import { HourlyCleanup } from '../database/hourly-cleanup.js';

/** A single-use value that was used: a nonce, or the `jti` of a token. */
@Entity('used_once')
export class UsedValue {
  /** SHA-256 of purpose and value, in base64url. */
  @PrimaryColumn({ type: 'varchar', length: 43 })
  digest!: string;

  /** When the row can be deleted: seconds since 1970. */
  @Index()
  @Column({ type: 'bigint' })
  until!: number;
}

interface PendingUse {
  readonly until: number;
  readonly resolve: (firstUse: boolean) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * A row is kept for this long after its value expires. The clock of another process may differ by as much as the methods
 * accept from their clients, and that process still accepts the value.
 */
const MAX_CLOCK_DIFFERENCE_SECONDS = 300;
/** A row has two parameters. SQLite and PostgreSQL accept 32,766 parameters and more in a statement. */
const MAX_ROWS_PER_STATEMENT = 1_000;

/**
 * Accepts each value once, across all processes. The primary key decides, so there is no gap between check and write.
 *
 * All uses of one event loop iteration are written by one INSERT, because a commit costs more than a row. Each use is
 * resolved after its commit. docs/performance.md shows the figures, and so the reason for SQL text here.
 */
@Injectable()
export class ReplayStore extends HourlyCleanup {
  private pending = new Map<string, PendingUse>();

  constructor(private readonly dataSource: DataSource) {
    super();
  }

  /**
   * Marks a value as used.
   *
   * @param purpose separates the values of different uses, such as `hmac nonce of <key id>`
   * @param expiresAt when this process no longer accepts the value
   * @returns true for the first use, false for a replay
   * @throws ServiceUnavailableException if the database fails: a possible replay is not accepted
   */
  use(purpose: string, value: string, expiresAt: Date): Promise<boolean> {
    const digest = createHash('sha256')
      .update(JSON.stringify([purpose, value]))
      .digest('base64url');
    if (this.pending.has(digest)) return Promise.resolve(false);
    return new Promise((resolve, reject) => {
      if (!this.pending.size) setImmediate(() => void this.flush());
      const until = Math.ceil(expiresAt.getTime() / 1000) + MAX_CLOCK_DIFFERENCE_SECONDS;
      this.pending.set(digest, { until, resolve, reject });
    });
  }

  async cleanUp(): Promise<void> {
    await this.dataSource.manager.delete(UsedValue, { until: LessThan(Math.floor(Date.now() / 1000)) });
  }

  private async flush(): Promise<void> {
    const uses = [...this.pending];
    this.pending = new Map();
    for (let from = 0; from < uses.length; from += MAX_ROWS_PER_STATEMENT)
      await this.insert(uses.slice(from, from + MAX_ROWS_PER_STATEMENT));
  }

  private async insert(uses: readonly [string, PendingUse][]): Promise<void> {
    const parameter = (index: number) => this.dataSource.driver.createParameter(`p${index}`, index);
    const rows = uses.map((_, i) => `(${parameter(2 * i)}, ${parameter(2 * i + 1)})`);
    const sql = `INSERT INTO used_once (digest, until) VALUES ${rows.join(', ')} ON CONFLICT DO NOTHING RETURNING digest`;
    try {
      const inserted = await this.dataSource.query<{ digest: string }[]>(
        sql,
        uses.flatMap(([digest, { until }]) => [digest, until]),
      );
      const firstUses = new Set(inserted.map(({ digest }) => digest));
      for (const [digest, { resolve }] of uses) resolve(firstUses.has(digest));
    } catch (error) {
      this.logger.error(error);
      for (const [, { reject }] of uses) reject(new ServiceUnavailableException());
    }
  }
}
