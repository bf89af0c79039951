import { Injectable } from '@nestjs/common';
import { DataSource, IsNull, MoreThan, Not } from 'typeorm';
import { Settings } from '../config/settings.js';
import { SecretBox } from '../crypto/secret-box.js';
import { ENDED } from './endings.js';
import { OauthRecord } from './record.entity.js';

/** The box that records lie in. */
export const recordsBox = (settings: Settings) => new SecretBox(settings, 'oauth records');

/** Reads records as their account's owner may see them, past the engine: what is neither used, nor ended, nor over. */
@Injectable()
export class LiveRecords {
  private readonly box: SecretBox;

  constructor(
    private readonly dataSource: DataSource,
    settings: Settings,
  ) {
    this.box = recordsBox(settings);
  }

  /**
   * Those of an account, of sign-ins that were not ended.
   * @param id of the row, where only that one is asked for
   */
  async of(kind: string, accountId: string, order: 'ASC' | 'DESC', id?: string): Promise<OauthRecord[]> {
    const rows = await this.dataSource.manager.find(OauthRecord, {
      where: {
        kind,
        accountId,
        consumedAt: IsNull(),
        sealed: Not(ENDED),
        expiresAt: MoreThan(new Date()),
        ...(id !== undefined && { id }),
      },
      relations: { account: true },
      order: { expiresAt: order, id: 'ASC' },
    });
    return rows.filter(({ account, epoch }) => account?.epoch === epoch);
  }

  /** What the engine says of a record. */
  open<Payload>({ sealed, id }: OauthRecord): Payload {
    return JSON.parse(this.box.open(sealed, id)) as Payload;
  }
}
