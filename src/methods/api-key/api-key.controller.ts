import { Body, Controller, Delete, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { z } from 'zod';
import { Authenticate, Caller, SelfService } from '../../authentication/plan.js';
import type { Principal } from '../../authentication/principal.js';
import { ACCOUNT_QUERY, NEW_CREDENTIAL_FIELDS, ROTATION_SCHEMA } from '../../users/credential.js';
import type { ApiKey } from './api-key.entity.js';
import { isAddressRange } from './api-key.js';
import { ApiKeyService } from './api-key.service.js';

const NewKey = z.strictObject({
  ...NEW_CREDENTIAL_FIELDS,
  allowedIps: z
    .array(z.string().refine(isAddressRange, 'must be an address or a range, as 10.0.0.0/8'))
    .min(1)
    .max(50)
    .optional(),
});

/** The row without its secrets. */
const view = ({ id, name, scopes, allowedIps, createdAt, expiresAt, lastUsedAt, previousUntil }: ApiKey) => ({
  id,
  name,
  scopes,
  allowedIps,
  createdAt,
  expiresAt,
  lastUsedAt,
  previousUntil,
});

@Controller()
@SelfService()
export class ApiKeyController {
  constructor(private readonly keys: ApiKeyService) {}

  @Get('demo/api-key')
  @Authenticate('api-key')
  demo(@Caller() caller: Principal): Principal {
    return caller;
  }

  @Post('api-keys')
  async issue(
    @Caller() caller: Principal,
    @Body({ schema: NewKey }) { name, accountId, ...limits }: z.output<typeof NewKey>,
  ) {
    const { row, key } = await this.keys.issue(caller, name, limits, accountId);
    return { ...view(row), key };
  }

  @Get('api-keys')
  async list(
    @Caller() caller: Principal,
    @Query({ schema: ACCOUNT_QUERY }) { accountId }: z.output<typeof ACCOUNT_QUERY>,
  ) {
    return { items: (await this.keys.list(caller, accountId)).map(view) };
  }

  @Post('api-keys/:id/rotate')
  async rotate(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Body({ schema: ROTATION_SCHEMA }) { overlapSeconds }: z.output<typeof ROTATION_SCHEMA>,
  ) {
    const { row, key } = await this.keys.rotate(caller, id, overlapSeconds);
    return { ...view(row), key };
  }

  @Delete('api-keys/:id')
  @HttpCode(204)
  revoke(@Caller() caller: Principal, @Param('id') id: string): Promise<void> {
    return this.keys.revoke(caller, id);
  }
}
