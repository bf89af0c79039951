import { Injectable, ServiceUnavailableException } from '@nestjs/common';
import { DataSource, LessThan } from 'typeorm';
import type { StatelessNonce } from '../../crypto/stateless-nonce.js';
import { HourlyCleanup } from '../../database/hourly-cleanup.js';
import { DigestNonce } from './digest.entity.js';

/** A nonce is stored for this long after it expired, because the clocks of the processes differ. */
const RETENTION_SECONDS = 60 * 60;

const inSeconds = (milliseconds: number) => Math.ceil(milliseconds / 1000);

/**
 * Stores the highest nonce count (`nc`, RFC 7616 section 3.4) of each nonce, for all processes. A nonce gets a row only after
 * a correct response to it.
 */
@Injectable()
export class DigestNonceCounts extends HourlyCleanup {
  constructor(private readonly dataSource: DataSource) {
    super();
  }

  /**
   * Raises the count of a nonce. The conditional UPDATE decides, so of two concurrent uses of a count one succeeds.
   *
   * @param nc eight hexadecimal digits
   * @returns false if this count or a higher one was already used
   * @throws ServiceUnavailableException if the database fails: a possible replay is not accepted
   */
  async use({ id, expiresAt }: StatelessNonce, nc: string): Promise<boolean> {
    const count = parseInt(nc, 16);
    const { manager } = this.dataSource;
    try {
      await manager
        .createQueryBuilder()
        .insert()
        .into(DigestNonce)
        .values({ id, nc: 0, until: inSeconds(expiresAt.getTime()) })
        .orIgnore()
        .updateEntity(false)
        .execute();
      const { affected } = await manager.update(DigestNonce, { id, nc: LessThan(count) }, { nc: count });
      return affected === 1;
    } catch (error) {
      this.logger.error(error);
      throw new ServiceUnavailableException();
    }
  }

  async cleanUp(): Promise<void> {
    const oldest = inSeconds(Date.now()) - RETENTION_SECONDS;
    await this.dataSource.manager.delete(DigestNonce, { until: LessThan(oldest) });
  }
}
