import { Injectable } from '@nestjs/common';
import type { Account } from 'oidc-provider';
import { DataSource } from 'typeorm';
import { User } from '../users/user.entity.js';

/** The accounts, as the engine knows them: those of people. */
@Injectable()
export class Accounts {
  constructor(private readonly dataSource: DataSource) {}

  /** @returns undefined for one that is gone, disabled, or no person's: the engine then refuses what it was asked */
  async find(id: string): Promise<Account | undefined> {
    const user = await this.dataSource.manager.findOneBy(User, { id });
    if (!user || user.disabledAt || user.kind !== 'user') return undefined;
    const { username, tenantId } = user;
    return {
      accountId: id,
      claims: async () => ({ sub: id, preferred_username: username, tenant: tenantId }),
    };
  }
}
