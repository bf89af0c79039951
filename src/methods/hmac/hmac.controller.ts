import { Body, Controller, Delete, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { z } from 'zod';
import { Describe, MANAGE_ERRORS, PrincipalView, listOf } from '../../authentication/describe.js';
import { Authenticate, Caller, SelfService } from '../../authentication/plan.js';
import type { Principal } from '../../authentication/principal.js';
import {
  ACCOUNT_QUERY,
  CREDENTIAL_EXAMPLE,
  ISSUE_ERRORS,
  NEW_CREDENTIAL_FIELDS,
  ROTATE_ERRORS,
  ROTATION_SCHEMA,
  SECRET_VIEW,
} from '../../users/credential.js';
import { HmacService } from './hmac.service.js';

const NewKey = z
  .strictObject(NEW_CREDENTIAL_FIELDS)
  .meta({ id: 'HmacKeyRequest', example: CREDENTIAL_EXAMPLE });

/** All of a key except its secret. */
const HmacKeyView = z.object(SECRET_VIEW).meta({ id: 'HmacKey' });
const NewHmacKeyView = HmacKeyView.extend({ secret: z.string() }).meta({ id: 'CreatedHmacKey' });

@Controller()
@SelfService()
export class HmacController {
  constructor(private readonly keys: HmacService) {}

  @Get('demo/hmac')
  @Describe('Show the caller, by hmac', { response: PrincipalView })
  @Authenticate('hmac')
  showHmacCaller(@Caller() caller: Principal): Principal {
    return caller;
  }

  @Post('hmac-keys')
  @Describe('Create an HMAC key', { response: NewHmacKeyView, errors: ISSUE_ERRORS })
  async createHmacKey(@Caller() caller: Principal, @Body({ schema: NewKey }) key: z.output<typeof NewKey>) {
    const { row, secret } = await this.keys.issue(caller, key);
    return { ...HmacKeyView.parse(row), secret };
  }

  @Get('hmac-keys')
  @Describe('List HMAC keys', { response: listOf(HmacKeyView), errors: MANAGE_ERRORS })
  async listHmacKeys(
    @Caller() caller: Principal,
    @Query({ schema: ACCOUNT_QUERY }) { accountId }: z.output<typeof ACCOUNT_QUERY>,
  ) {
    return { items: (await this.keys.list(caller, accountId)).map((row) => HmacKeyView.parse(row)) };
  }

  @Post('hmac-keys/:id/rotate')
  @Describe('Rotate the secret of an HMAC key', { response: NewHmacKeyView, errors: ROTATE_ERRORS })
  async rotateHmacKey(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Body({ schema: ROTATION_SCHEMA }) { overlapSeconds }: z.output<typeof ROTATION_SCHEMA>,
  ) {
    const { row, secret } = await this.keys.rotate(caller, id, overlapSeconds);
    return { ...HmacKeyView.parse(row), secret };
  }

  @Delete('hmac-keys/:id')
  @Describe('Revoke an HMAC key', { errors: MANAGE_ERRORS })
  @HttpCode(204)
  revokeHmacKey(@Caller() caller: Principal, @Param('id') id: string): Promise<void> {
    return this.keys.revoke(caller, id);
  }
}
