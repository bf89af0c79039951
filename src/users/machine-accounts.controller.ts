import { Body, Controller, Get, Param, Patch, Post, Query } from '@nestjs/common';
import type { KeyObject } from 'node:crypto';
import { z } from 'zod';
import { Caller } from '../authentication/plan.js';
import type { Principal } from '../authentication/principal.js';
import type { AppAbility } from '../authorization/app-ability.js';
import { Ability, Can } from '../authorization/can.guard.js';
import { PAGE_PARAMETERS, readCursor, writeCursor } from '../authorization/sql/cursor.js';
import { Settings } from '../config/settings.js';
import { deriveKey } from '../crypto/derived-keys.js';
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
  private readonly cursorKey: KeyObject;

  constructor(
    private readonly accounts: MachineAccountsService,
    settings: Settings,
  ) {
    this.cursorKey = deriveKey(settings.appSecret, 'cursor of machine accounts');
  }

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
    @Query({ schema: ListQuery }) { limit, cursor }: z.output<typeof ListQuery>,
  ) {
    const context = JSON.stringify([caller.tenantId, caller.id]);
    const after = cursor && String(readCursor(this.cursorKey, cursor, context).value);
    const found = await this.accounts.list(caller, ability, limit + 1, after);
    const rows = found.slice(0, limit);
    const last = found.length > limit ? rows.at(-1) : undefined;
    return {
      items: rows.map(view),
      nextCursor: last ? writeCursor(this.cursorKey, { value: last.username, id: last.id }, context) : null,
    };
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
