import { Injectable } from '@nestjs/common';
import { hash } from 'node:crypto';
import {
  DataSource,
  IsNull,
  LessThan,
  MoreThan,
  Not,
  type EntityManager,
  type FindOptionsWhere,
} from 'typeorm';
import { AccessToken } from '../../access-tokens/access-token.entity.js';
import { Settings } from '../../config/settings.js';
import { SecretBox } from '../../crypto/secret-box.js';
import { HourlyCleanup } from '../../database/hourly-cleanup.js';
import { OauthRecord } from './oauth-record.entity.js';

/** The row id of a record. */
export const recordId = (kind: string, id: string) => hash('sha256', `${kind} ${id}`, 'base64url');

/** The value of `sealed` after a revocation. */
export const REVOKED = '';

/** The box that encrypts the payload of records. */
export const recordSecretBox = (settings: Settings) => new SecretBox(settings, 'oauth records');

/** Revokes records. Their rows stay until they expire, so that a late write by a concurrent request finds them revoked. */
export async function revokeRecords(
  manager: EntityManager,
  where: FindOptionsWhere<OauthRecord>,
): Promise<void> {
  // Skips rows that are revoked already: concurrent replays of one token would wait for each other's locks.
  await manager.update(OauthRecord, { ...where, sealed: Not(REVOKED) }, { sealed: REVOKED });
}

/**
 * Revokes a grant with everything issued for it: codes, refresh tokens, access tokens.
 * @param manager of a transaction
 */
export async function revokeGrant(manager: EntityManager, grantId: string): Promise<void> {
  // The grant comes first. A concurrent AccessTokenWriter locks its row, so its token is committed and deleted below.
  await revokeRecords(manager, { id: recordId('Grant', grantId) });
  await revokeRecords(manager, { grantId });
  await manager.delete(AccessToken, { grantId });
}

/** Reads the records of one account without oidc-provider, for the routes that list them; deletes expired ones every hour. */
@Injectable()
export class OauthRecords extends HourlyCleanup {
  private readonly box: SecretBox;

  constructor(
    private readonly dataSource: DataSource,
    settings: Settings,
  ) {
    super();
    this.box = recordSecretBox(settings);
  }

  /**
   * Finds records that are not used, revoked, expired or ended by "log out everywhere".
   * @param order by expiry
   * @param id limits the result to one row
   */
  async findActive(
    kind: string,
    accountId: string,
    order: 'ASC' | 'DESC',
    id?: string,
  ): Promise<OauthRecord[]> {
    const rows = await this.dataSource.manager.find(OauthRecord, {
      where: {
        kind,
        accountId,
        consumedAt: IsNull(),
        sealed: Not(REVOKED),
        expiresAt: MoreThan(new Date()),
        ...(id !== undefined && { id }),
      },
      relations: { account: true },
      order: { expiresAt: order, id: 'ASC' },
    });
    return rows.filter(({ account, epoch }) => account?.epoch === epoch);
  }

  /** The payload that oidc-provider stored. */
  decrypt<Payload>({ sealed, id }: OauthRecord): Payload {
    return JSON.parse(this.box.open(sealed, id)) as Payload;
  }

  async cleanUp(): Promise<void> {
    const revoked = { sealed: REVOKED, expiresAt: IsNull() };
    await this.dataSource.manager.delete(OauthRecord, [{ expiresAt: LessThan(new Date()) }, revoked]);
  }
}
