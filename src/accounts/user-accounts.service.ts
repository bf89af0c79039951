import { Injectable, NotFoundException } from '@nestjs/common';
import type { KeyObject } from 'node:crypto';
import { DataSource, type EntityManager } from 'typeorm';
import { AuditPort } from '../authentication/ports.js';
import { assertMayManageCredentials, type Principal } from '../authentication/principal.js';
import type { AppAbility } from '../authorization/app-ability.js';
import { assertCan } from '../authorization/assert-can.js';
import { Settings } from '../config/settings.js';
import { deriveKey } from '../crypto/derived-keys.js';
import { accountPage, type AccountPage, type PageQuery } from '../users/account-page.js';
import { setDisabled, setRoles } from '../users/change-account.js';
import { User } from '../users/user.entity.js';
import { assertNotLastAdmin, lockTenant } from './last-admin.js';

export interface AccountChanges {
  readonly disabled?: boolean | undefined;
  readonly roles?: User['roles'] | undefined;
}

/** The accounts of people, for administrators of their tenant. It manages no credentials: those belong to the person. */
@Injectable()
export class UserAccountsService {
  private readonly cursorKey: KeyObject;

  constructor(
    private readonly dataSource: DataSource,
    private readonly audit: AuditPort,
    settings: Settings,
  ) {
    this.cursorKey = deriveKey(settings.appSecret, 'cursor of user accounts');
  }

  /** A page of the accounts, by username. */
  async list(caller: Principal, ability: AppAbility, query: PageQuery): Promise<AccountPage> {
    assertMayManageCredentials(caller);
    return accountPage(this.dataSource.manager, this.cursorKey, 'user', caller, ability, query);
  }

  /**
   * Disables or enables an account, or replaces its roles, from the next request on.
   * @throws ForbiddenException `limited_credential`, `forbidden`
   * @throws NotFoundException for an account that the caller may not see
   * @throws ConflictException `last_admin`
   */
  async update(
    caller: Principal,
    ability: AppAbility,
    id: string,
    { disabled, roles }: AccountChanges,
  ): Promise<User> {
    assertMayManageCredentials(caller);
    return this.dataSource.transaction(async (manager) => {
      await lockTenant(manager, caller.tenantId);
      let user = await findUser(manager, ability, id);
      if (disabled !== undefined) assertCan(ability, 'update', user, 'disabledAt');
      if (roles) assertCan(ability, 'update', user, 'roles');
      if (disabled || (roles && !roles.includes('admin'))) await assertNotLastAdmin(manager, user);
      if (roles) user = await setRoles(manager, this.audit, user, roles, caller);
      if (disabled !== undefined) user = await setDisabled(manager, this.audit, user, disabled, caller);
      return user;
    });
  }
}

/**
 * The account of a person.
 * @throws NotFoundException if there is none that the caller may see
 */
export async function findUser(manager: EntityManager, ability: AppAbility, id: string): Promise<User> {
  const user = await manager.findOneBy(User, { id });
  if (user?.kind === 'user' && ability.can('read', user)) return user;
  throw new NotFoundException({ code: 'not_found', detail: 'Your tenant has no such account of a person.' });
}
