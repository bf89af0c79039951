import { Injectable, ServiceUnavailableException } from '@nestjs/common';
import { createHash } from 'node:crypto';
import { Column, DataSource, Entity, Index, LessThan, PrimaryColumn } from 'typeorm';
import { HourlyCleanup } from '../database/hourly-cleanup.js';

/** Something that was used and may not be used again: a nonce, the id of a token. */
@Entity('used_once')
export class UsedValue {
  /** SHA-256 of what it was used for and of itself, in base64url. */
  @PrimaryColumn({ type: 'varchar', length: 43 })
  digest!: string;

  /** Until when it could be used again if nobody remembered: seconds since 1970. */
  @Index()
  @Column({ type: 'bigint' })
  until!: number;
}

interface Use {
  readonly until: number;
  readonly settle: (first: boolean) => void;
  readonly fail: (error: unknown) => void;
}

/** So many parameters a statement may have, and two go with each use. */
const MOST = 1_000;

/**
 * What may be used once, by whichever process. The database decides, by a unique key: there is no moment between asking
 * and remembering. All that are used in one turn of the event loop are written by one statement, because a commit costs
 * more than a row; each use is answered after its own is committed.
 */
@Injectable()
export class ReplayStore extends HourlyCleanup {
  private waiting = new Map<string, Use>();

  constructor(private readonly dataSource: DataSource) {
    super();
  }

  /**
   * Uses something, if nobody has before.
   * @param purpose what for; the same value for another purpose is another thing: `hmac nonce of <key id>`
   * @param until from when on it would be refused anyway, so that it need not be remembered
   * @returns whether this was the first use
   * @throws ServiceUnavailableException where that cannot be known: what may have been used is not used
   */
  use(purpose: string, value: string, until: Date): Promise<boolean> {
    const digest = createHash('sha256')
      .update(JSON.stringify([purpose, value]))
      .digest('base64url');
    if (this.waiting.has(digest)) return Promise.resolve(false);
    return new Promise((settle, fail) => {
      if (!this.waiting.size) setImmediate(() => void this.write());
      this.waiting.set(digest, { until: Math.ceil(until.getTime() / 1000), settle, fail });
    });
  }

  async cleanUp(): Promise<void> {
    await this.dataSource.manager.delete(UsedValue, { until: LessThan(Math.floor(Date.now() / 1000)) });
  }

  private async write(): Promise<void> {
    const uses = [...this.waiting];
    this.waiting = new Map();
    for (let from = 0; from < uses.length; from += MOST) await this.writeSome(uses.slice(from, from + MOST));
  }

  private async writeSome(uses: readonly [string, Use][]): Promise<void> {
    const parameter = (index: number) => this.dataSource.driver.createParameter(`p${index}`, index);
    const rows = uses.map((_, i) => `(${parameter(2 * i)}, ${parameter(2 * i + 1)})`);
    const sql = `INSERT INTO used_once (digest, until) VALUES ${rows.join(', ')} ON CONFLICT DO NOTHING RETURNING digest`;
    try {
      const written = await this.dataSource.query<{ digest: string }[]>(
        sql,
        uses.flatMap(([digest, { until }]) => [digest, until]),
      );
      const first = new Set(written.map(({ digest }) => digest));
      for (const [digest, { settle }] of uses) settle(first.has(digest));
    } catch (error) {
      this.logger.error(error);
      for (const [, { fail }] of uses) fail(new ServiceUnavailableException());
    }
  }
}
