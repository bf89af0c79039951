import { Body, Controller, Delete, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { z } from 'zod';
import { Authenticate, Caller, SelfService } from '../../authentication/plan.js';
import type { Principal } from '../../authentication/principal.js';
import { ACCOUNT_QUERY, NEW_CREDENTIAL_FIELDS, ROTATION_SCHEMA } from '../../users/credential.js';
import type { HmacKey } from './hmac.entity.js';
import { HmacService } from './hmac.service.js';

const NewKey = z.strictObject(NEW_CREDENTIAL_FIELDS);

/** All of a key except its secret. */
const toResponse = ({ id, name, scopes, createdAt, expiresAt, lastUsedAt, previousUntil }: HmacKey) => ({
  id,
  name,
  scopes,
  createdAt,
  expiresAt,
  lastUsedAt,
  previousUntil,
});

@Controller()
@SelfService()
export class HmacController {
  constructor(private readonly keys: HmacService) {}

  @Get('demo/hmac')
  @Authenticate('hmac')
  demo(@Caller() caller: Principal): Principal {
    return caller;
  }

  @Post('hmac-keys')
  async issue(@Caller() caller: Principal, @Body({ schema: NewKey }) key: z.output<typeof NewKey>) {
    const { row, secret } = await this.keys.issue(caller, key);
    return { ...toResponse(row), secret };
  }

  @Get('hmac-keys')
  async list(
    @Caller() caller: Principal,
    @Query({ schema: ACCOUNT_QUERY }) { accountId }: z.output<typeof ACCOUNT_QUERY>,
  ) {
    return { items: (await this.keys.list(caller, accountId)).map(toResponse) };
  }

  @Post('hmac-keys/:id/rotate')
  async rotate(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Body({ schema: ROTATION_SCHEMA }) { overlapSeconds }: z.output<typeof ROTATION_SCHEMA>,
  ) {
    const { row, secret } = await this.keys.rotate(caller, id, overlapSeconds);
    return { ...toResponse(row), secret };
  }

  @Delete('hmac-keys/:id')
  @HttpCode(204)
  revoke(@Caller() caller: Principal, @Param('id') id: string): Promise<void> {
    return this.keys.revoke(caller, id);
  }
}
