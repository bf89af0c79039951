import { Injectable } from '@nestjs/common';
import { errors, type AdapterPayload } from 'oidc-provider';
import { DataSource } from 'typeorm';
import { User } from '../../users/user.entity.js';
import { normalizeUsername } from '../../users/username.js';
import { OauthClient } from '../client.entity.js';
import { LiveRecords } from '../live-records.js';

/** So many wait for one person at the most: whoever is asked without end says yes some day. */
const MOST = 5;

/** A request as the engine keeps it, with the name of its row. The engine's own id of it is a secret of the client. */
export interface BackchannelRequest {
  readonly id: string;
  readonly clientId: string;
  readonly expiresAt: Date;
  readonly payload: AdapterPayload;
}

/** What waits for people to decide (CIBA). */
@Injectable()
export class BackchannelRequests {
  constructor(
    private readonly records: LiveRecords,
    private readonly dataSource: DataSource,
  ) {}

  /**
   * Whom a client means. It reaches people of its own organisation alone, so that it cannot find out who else is there.
   * @returns undefined for everybody else, and for nobody
   */
  async accountFor(clientId: string, hint: string): Promise<string | undefined> {
    const { manager } = this.dataSource;
    const client = await manager.findOne(OauthClient, {
      where: { id: clientId },
      relations: { account: true },
    });
    const username = normalizeUsername(hint);
    if (!client?.account || client.account.disabledAt || username === undefined) return undefined;
    const { tenantId } = client.account;
    const user = await manager.findOneBy(User, { username, tenantId, kind: 'user' });
    return user?.id;
  }

  /** @throws TemporarilyUnavailable where enough waits for this person */
  async refuseFlood(accountId: string): Promise<void> {
    if ((await this.pending({ accountId })).length >= MOST)
      throw new errors.TemporarilyUnavailable('too many requests wait for this person');
  }

  /** Those of an account that nobody has decided, of sign-ins that were not ended. */
  async pending({ accountId, id }: { accountId: string; id?: string }): Promise<BackchannelRequest[]> {
    const rows = await this.records.of('BackchannelAuthenticationRequest', accountId, 'ASC', id);
    return rows
      .map((row) => ({
        id: row.id,
        clientId: row.clientId!,
        expiresAt: row.expiresAt!,
        payload: this.records.open<AdapterPayload>(row),
      }))
      .filter(({ payload }) => !payload.grantId && !payload.error);
  }
}
