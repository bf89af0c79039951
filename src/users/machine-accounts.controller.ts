import { Body, Controller, Get, Param, Patch, Post, Query } from '@nestjs/common';
import { z } from 'zod';
import { Describe, Tag } from '../authentication/describe.js';
import { Caller } from '../authentication/plan.js';
import type { Principal } from '../authentication/principal.js';
import type { AppAbility } from '../authorization/app-ability.js';
import { Ability, Can } from '../authorization/can.guard.js';
import { PAGE_PARAMETERS } from '../authorization/sql/cursor.js';
import { ROLES } from '../permissions.js';
import { MachineAccountsService } from './machine-accounts.service.js';
import { User } from './user.entity.js';
import { USERNAME, normalizeUsername } from './username.js';

const NewMachineAccount = z
  .strictObject({
    username: z
      .string()
      .refine(
        (text) => normalizeUsername(text) !== undefined,
        'must have 1 to 64 ASCII letters, digits and ._@-, and end in a letter or digit',
      )
      .meta({ pattern: USERNAME.source }),
    roles: z.array(z.enum(ROLES)).min(1).max(ROLES.length),
  })
  .meta({ id: 'MachineAccountRequest', example: { username: 'nightly-export', roles: ['editor'] } });
const Changes = z
  .strictObject({ disabled: z.boolean() })
  .meta({ id: 'MachineAccountChanges', example: { disabled: true } });
const ListQuery = z.strictObject(PAGE_PARAMETERS);

const MachineAccountView = z
  .object({
    id: z.string(),
    username: z.string(),
    kind: z.literal('client'),
    tenantId: z.string(),
    roles: z.array(z.string()),
    disabledAt: z.date().nullable(),
  })
  .meta({ id: 'MachineAccount' });
const MachineAccountPage = z
  .object({ items: z.array(MachineAccountView), nextCursor: z.string().nullable() })
  .meta({ id: 'MachineAccountPage' });

const view = (account: User) => MachineAccountView.parse(account);

@Controller('machine-accounts')
@Tag('Machine accounts', 'Accounts without a password, which administrators create.')
export class MachineAccountsController {
  constructor(private readonly accounts: MachineAccountsService) {}

  /** Issue its credentials at the routes of a method, with its id as `accountId`. */
  @Post()
  @Describe('Create a machine account', {
    response: MachineAccountView,
    errors: ['403 limited_credential', '409 username_taken'],
  })
  @Can('create', User)
  async createMachineAccount(
    @Caller() caller: Principal,
    @Ability() ability: AppAbility,
    @Body({ schema: NewMachineAccount }) account: z.output<typeof NewMachineAccount>,
  ) {
    return view(await this.accounts.create(caller, ability, account));
  }

  @Get()
  @Describe('List machine accounts', { response: MachineAccountPage, errors: ['403 limited_credential'] })
  @Can('read', User)
  async listMachineAccounts(
    @Caller() caller: Principal,
    @Ability() ability: AppAbility,
    @Query({ schema: ListQuery }) query: z.output<typeof ListQuery>,
  ) {
    const { accounts, nextCursor } = await this.accounts.list(caller, ability, query);
    return { items: accounts.map(view), nextCursor };
  }

  @Patch(':id')
  @Describe('Disable or enable a machine account', {
    response: MachineAccountView,
    errors: ['403 limited_credential'],
  })
  @Can('update', User)
  async updateMachineAccount(
    @Caller() caller: Principal,
    @Ability() ability: AppAbility,
    @Param('id') id: string,
    @Body({ schema: Changes }) { disabled }: z.output<typeof Changes>,
  ) {
    return view(await this.accounts.setDisabled(caller, ability, id, disabled));
  }
}
