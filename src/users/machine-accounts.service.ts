import { ConflictException, Injectable, NotFoundException } from '@nestjs/common';
import { DataSource, MoreThan } from 'typeorm';
import { AuditPort } from '../authentication/ports.js';
import { assertMayManageCredentials, type Principal } from '../authentication/principal.js';
import type { AppAbility } from '../authorization/app-ability.js';
import { assertCan } from '../authorization/assert-can.js';
import { accessibleBy } from '../authorization/sql/accessible-by.js';
import { setDisabled } from './change-account.js';
import { addMachineAccount } from './new-account.js';
import { User } from './user.entity.js';

/** The machine accounts of a tenant, for its administrators. Their credentials have the routes of each method. */
@Injectable()
export class MachineAccountsService {
  constructor(
    private readonly dataSource: DataSource,
    private readonly audit: AuditPort,
  ) {}

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

  /** By username. @param after the last username of the page before */
  async list(
    caller: Principal,
    ability: AppAbility,
    limit: number,
    after: string | undefined,
  ): Promise<User[]> {
    assertMayManageCredentials(caller);
    const query = this.dataSource
      .createQueryBuilder(User, 'account')
      .where({ kind: 'client', ...(after !== undefined && { username: MoreThan(after) }) })
      .orderBy('account.username')
      .limit(limit);
    return accessibleBy(query, ability, 'read').getMany();
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
