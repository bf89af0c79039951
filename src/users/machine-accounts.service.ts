import { ConflictException, Injectable, NotFoundException } from '@nestjs/common';
import type { KeyObject } from 'node:crypto';
import { DataSource } from 'typeorm';
import { AuditPort } from '../authentication/ports.js';
import { assertMayManageCredentials, type Principal } from '../authentication/principal.js';
import type { AppAbility } from '../authorization/app-ability.js';
import { assertCan } from '../authorization/assert-can.js';
import { Settings } from '../config/settings.js';
import { deriveKey } from '../crypto/derived-keys.js';
import { accountPage, type AccountPage, type PageQuery } from './account-page.js';
import { setDisabled } from './change-account.js';
import { addMachineAccount } from './new-account.js';
import { User } from './user.entity.js';

/** The machine accounts of a tenant, for its administrators. Their credentials have the routes of each method. */
@Injectable()
export class MachineAccountsService {
  private readonly cursorKey: KeyObject;

  constructor(
    private readonly dataSource: DataSource,
    private readonly audit: AuditPort,
    settings: Settings,
  ) {
    this.cursorKey = deriveKey(settings.appSecret, 'cursor of machine accounts');
  }

  /** @throws ConflictException `username_taken` */
  async create(
    caller: Principal,
    ability: AppAbility,
    { username, roles }: Pick<User, 'username' | 'roles'>,
  ): Promise<User> {
    assertMayManageCredentials(caller);
    const { tenantId } = caller;
    assertCan(ability, 'create', Object.assign(new User(), { tenantId, kind: 'client' }));
    const account = { tenant: tenantId, username, roles };
    const user = await addMachineAccount(this.dataSource, this.audit, account, caller);
    if (user) return user;
    throw new ConflictException({ code: 'username_taken', detail: 'An account has this username.' });
  }

  /** A page of the accounts, by username. */
  async list(caller: Principal, ability: AppAbility, query: PageQuery): Promise<AccountPage> {
    assertMayManageCredentials(caller);
    return accountPage(this.dataSource.manager, this.cursorKey, 'client', caller, ability, query);
  }

  /**
   * Disables or enables an account, and all its credentials, from the next request on.
   * @throws NotFoundException for any account that the caller does not administer
   */
  async setDisabled(caller: Principal, ability: AppAbility, id: string, disabled: boolean): Promise<User> {
    assertMayManageCredentials(caller);
    return this.dataSource.transaction(async (manager) => {
      const user = await manager.findOneBy(User, { id });
      if (user?.kind !== 'client' || !ability.can('update', user))
        throw new NotFoundException({
          code: 'not_found',
          detail: 'Your tenant has no such machine account.',
        });
      return setDisabled(manager, this.audit, user, disabled, caller);
    });
  }
}
