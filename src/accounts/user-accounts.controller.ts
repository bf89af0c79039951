import { Body, Controller, Get, Param, Patch, Query } from '@nestjs/common';
import { z } from 'zod';
import { Describe, Tag } from '../authentication/describe.js';
import { Caller } from '../authentication/plan.js';
import type { Principal } from '../authentication/principal.js';
import type { AppAbility } from '../authorization/app-ability.js';
import { Ability, Can } from '../authorization/can.guard.js';
import { PAGE_PARAMETERS } from '../authorization/sql/cursor.js';
import { ROLES } from '../permissions.js';
import { User } from '../users/user.entity.js';
import { UserAccountsService } from './user-accounts.service.js';

const Changes = z
  .strictObject({
    disabled: z.boolean().optional(),
    roles: z.array(z.enum(ROLES)).min(1).max(ROLES.length).optional(),
  })
  .refine((changes) => Object.keys(changes).length > 0, 'must have `disabled` or `roles`')
  .meta({ id: 'UserAccountChanges', example: { disabled: true } });
const ListQuery = z.strictObject(PAGE_PARAMETERS);

const UserAccountView = z
  .object({
    id: z.string(),
    username: z.string(),
    name: z.string().nullable(),
    kind: z.literal('user'),
    tenantId: z.string(),
    roles: z.array(z.string()),
    disabledAt: z.date().nullable(),
  })
  .meta({ id: 'UserAccount' });
const UserAccountPage = z
  .object({ items: z.array(UserAccountView), nextCursor: z.string().nullable() })
  .meta({ id: 'UserAccountPage' });

const view = (account: User) => UserAccountView.parse(account);

@Controller('accounts')
@Tag('Accounts of people', 'The accounts of a tenant, for its administrators.')
export class UserAccountsController {
  constructor(private readonly accounts: UserAccountsService) {}

  @Get()
  @Describe('List accounts of people', { response: UserAccountPage, errors: ['403 limited_credential'] })
  @Can('read', User)
  async listUserAccounts(
    @Caller() caller: Principal,
    @Ability() ability: AppAbility,
    @Query({ schema: ListQuery }) query: z.output<typeof ListQuery>,
  ) {
    const { accounts, nextCursor } = await this.accounts.list(caller, ability, query);
    return { items: accounts.map(view), nextCursor };
  }

  /** Disabling ends the account's sign-ins and rejects its credentials. */
  @Patch(':id')
  @Describe('Disable or enable an account, or replace its roles', {
    response: UserAccountView,
    errors: ['403 limited_credential', '404 not_found', '409 last_admin'],
  })
  @Can('update', User)
  async updateUserAccount(
    @Caller() caller: Principal,
    @Ability() ability: AppAbility,
    @Param('id') id: string,
    @Body({ schema: Changes }) changes: z.output<typeof Changes>,
  ) {
    return view(await this.accounts.update(caller, ability, id, changes));
  }
}
