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
import { SigV4Service } from './sigv4.service.js';

const NewKey = z
  .strictObject(NEW_CREDENTIAL_FIELDS)
  .meta({ id: 'AccessKeyRequest', example: CREDENTIAL_EXAMPLE });

/** All of a key except its secret. */
const AccessKeyView = z.object(SECRET_VIEW).meta({ id: 'AccessKey' });
const NewAccessKeyView = AccessKeyView.extend({ secret: z.string() }).meta({ id: 'CreatedAccessKey' });

@Controller()
@SelfService()
export class SigV4Controller {
  constructor(private readonly keys: SigV4Service) {}

  @Get('demo/sigv4')
  @Describe('Show the caller, by sigv4', { response: PrincipalView })
  @Authenticate('sigv4')
  showSigv4Caller(@Caller() caller: Principal): Principal {
    return caller;
  }

  @Post('access-keys')
  @Describe('Create an access key', { response: NewAccessKeyView, errors: ISSUE_ERRORS })
  async createAccessKey(@Caller() caller: Principal, @Body({ schema: NewKey }) key: z.output<typeof NewKey>) {
    const { row, secret } = await this.keys.issue(caller, key);
    return { ...AccessKeyView.parse(row), secret };
  }

  @Get('access-keys')
  @Describe('List access keys', { response: listOf(AccessKeyView), errors: MANAGE_ERRORS })
  async listAccessKeys(
    @Caller() caller: Principal,
    @Query({ schema: ACCOUNT_QUERY }) { accountId }: z.output<typeof ACCOUNT_QUERY>,
  ) {
    return { items: (await this.keys.list(caller, accountId)).map((row) => AccessKeyView.parse(row)) };
  }

  @Post('access-keys/:id/rotate')
  @Describe('Rotate the secret of an access key', { response: NewAccessKeyView, errors: ROTATE_ERRORS })
  async rotateAccessKey(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Body({ schema: ROTATION_SCHEMA }) { overlapSeconds }: z.output<typeof ROTATION_SCHEMA>,
  ) {
    const { row, secret } = await this.keys.rotate(caller, id, overlapSeconds);
    return { ...AccessKeyView.parse(row), secret };
  }

  @Delete('access-keys/:id')
  @Describe('Revoke an access key', { errors: MANAGE_ERRORS })
  @HttpCode(204)
  revokeAccessKey(@Caller() caller: Principal, @Param('id') id: string): Promise<void> {
    return this.keys.revoke(caller, id);
  }
}
