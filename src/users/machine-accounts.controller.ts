import { Body, Controller, Get, Param, Patch, Post, Query } from '@nestjs/common';
import { z } from 'zod';
import { Caller } from '../authentication/plan.js';
import type { Principal } from '../authentication/principal.js';
import type { AppAbility } from '../authorization/app-ability.js';
import { Ability, Can } from '../authorization/can.guard.js';
import { PAGE_PARAMETERS } from '../authorization/sql/cursor.js';
import { ROLES } from '../permissions.js';
import { MachineAccountsService } from './machine-accounts.service.js';
import { User } from './user.entity.js';
import { normalizeUsername } from './username.js';

const NewMachineAccount = z.strictObject({
  username: z
    .string()
    .refine(
      (text) => normalizeUsername(text) !== undefined,
      'must have 1 to 64 ASCII letters, digits and ._@-, and end in a letter or digit',
    ),
  roles: z.array(z.enum(ROLES)).min(1).max(ROLES.length),
});
const Changes = z.strictObject({ disabled: z.boolean() });
const ListQuery = z.strictObject(PAGE_PARAMETERS);

const view = ({ id, username, kind, tenantId, roles, disabledAt }: User) => ({
  id,
  username,
  kind,
  tenantId,
  roles,
  disabledAt,
});

@Controller('machine-accounts')
export class MachineAccountsController {
  constructor(private readonly accounts: MachineAccountsService) {}

  /** Issue its credentials at the routes of a method, with its id as `accountId`. */
  @Post()
  @Can('create', User)
  async create(
    @Caller() caller: Principal,
    @Ability() ability: AppAbility,
    @Body({ schema: NewMachineAccount }) account: z.output<typeof NewMachineAccount>,
  ) {
    return view(await this.accounts.create(caller, ability, account));
  }

  @Get()
  @Can('read', User)
  async list(
    @Caller() caller: Principal,
    @Ability() ability: AppAbility,
    @Query({ schema: ListQuery }) query: z.output<typeof ListQuery>,
  ) {
    const { accounts, nextCursor } = await this.accounts.list(caller, ability, query);
    return { items: accounts.map(view), nextCursor };
  }

  @Patch(':id')
  @Can('update', User)
  async change(
    @Caller() caller: Principal,
    @Ability() ability: AppAbility,
    @Param('id') id: string,
    @Body({ schema: Changes }) { disabled }: z.output<typeof Changes>,
  ) {
    return view(await this.accounts.setDisabled(caller, ability, id, disabled));
  }
}
