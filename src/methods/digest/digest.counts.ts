import { Injectable, ServiceUnavailableException } from '@nestjs/common';
import { DataSource, LessThan } from 'typeorm';
import { HourlyCleanup } from '../../database/hourly-cleanup.js';
import { DigestNonce } from './digest.entity.js';
import type { StatelessNonce } from '../../crypto/stateless-nonce.js';

const seconds = (milliseconds: number) => Math.ceil(milliseconds / 1000);

/**
 * Counts how often a nonce is used, for all processes: the database decides, in one statement. Only what has answered
 * a nonce rightly gets a row.
 */
@Injectable()
export class DigestNonceCounts extends HourlyCleanup {
  private readonly sql: string;

  constructor(private readonly dataSource: DataSource) {
    super();
    const [id, nc, until] = [0, 1, 2].map((i) => dataSource.driver.createParameter(`p${i}`, i));
    this.sql =
      `INSERT INTO digest_nonces (id, nc, until) VALUES (${id}, ${nc}, ${until}) ` +
      `ON CONFLICT (id) DO UPDATE SET nc = excluded.nc WHERE digest_nonces.nc < excluded.nc RETURNING nc`;
  }

  /**
   * @param nc eight hexadecimal digits
   * @returns false where this count, or a higher one, has been used already
   * @throws ServiceUnavailableException where that cannot be known: what may be a replay is not let in
   */
  async use({ id, expiresAt }: StatelessNonce, nc: string): Promise<boolean> {
    const row = [id, parseInt(nc, 16), seconds(expiresAt.getTime())];
    try {
      return (await this.dataSource.query<unknown[]>(this.sql, row)).length === 1;
    } catch (error) {
      this.logger.error(error);
      throw new ServiceUnavailableException();
    }
  }

  /** Removes nonces that have been old for an hour: the clocks of the processes may differ by less. */
  async cleanUp(): Promise<void> {
    const { manager } = this.dataSource;
    await manager.delete(DigestNonce, { until: LessThan(seconds(Date.now()) - 60 * 60) });
  }
}
