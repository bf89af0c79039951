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
import { isAddressRange } from './api-key.js';
import { ApiKeyService } from './api-key.service.js';

const NewKey = z
  .strictObject({
    ...NEW_CREDENTIAL_FIELDS,
    allowedIps: z
      .array(
        z.string().refine(isAddressRange, 'must be an address or a range, as 10.0.0.0/8').meta({
          pattern: '^[0-9A-Fa-f.:]+(?:/\\d{1,3})?$',
          description: 'An IP address or range. The server checks more.',
        }),
      )
      .min(1)
      .max(50)
      .optional(),
  })
  .meta({ id: 'ApiKeyRequest', example: { ...CREDENTIAL_EXAMPLE, allowedIps: ['10.0.0.0/8'] } });

/** The row without its secrets. */
const ApiKeyView = z
  .object({ ...SECRET_VIEW, allowedIps: z.array(z.string()).nullable() })
  .meta({ id: 'ApiKey' });
const NewApiKeyView = ApiKeyView.extend({ key: z.string() }).meta({ id: 'CreatedApiKey' });

@Controller()
@SelfService()
export class ApiKeyController {
  constructor(private readonly keys: ApiKeyService) {}

  @Get('demo/api-key')
  @Describe('Show the caller, by api-key', { response: PrincipalView })
  @Authenticate('api-key')
  showApiKeyCaller(@Caller() caller: Principal): Principal {
    return caller;
  }

  @Post('api-keys')
  @Describe('Create an API key', { response: NewApiKeyView, errors: ISSUE_ERRORS })
  async createApiKey(
    @Caller() caller: Principal,
    @Body({ schema: NewKey }) { name, accountId, ...limits }: z.output<typeof NewKey>,
  ) {
    const { row, key } = await this.keys.issue(caller, name, limits, accountId);
    return { ...ApiKeyView.parse(row), key };
  }

  @Get('api-keys')
  @Describe('List API keys', { response: listOf(ApiKeyView), errors: MANAGE_ERRORS })
  async listApiKeys(
    @Caller() caller: Principal,
    @Query({ schema: ACCOUNT_QUERY }) { accountId }: z.output<typeof ACCOUNT_QUERY>,
  ) {
    return { items: (await this.keys.list(caller, accountId)).map((row) => ApiKeyView.parse(row)) };
  }

  @Post('api-keys/:id/rotate')
  @Describe('Rotate the secret of an API key', { response: NewApiKeyView, errors: ROTATE_ERRORS })
  async rotateApiKey(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Body({ schema: ROTATION_SCHEMA }) { overlapSeconds }: z.output<typeof ROTATION_SCHEMA>,
  ) {
    const { row, key } = await this.keys.rotate(caller, id, overlapSeconds);
    return { ...ApiKeyView.parse(row), key };
  }

  @Delete('api-keys/:id')
  @Describe('Revoke an API key', { errors: MANAGE_ERRORS })
  @HttpCode(204)
  revokeApiKey(@Caller() caller: Principal, @Param('id') id: string): Promise<void> {
    return this.keys.revoke(caller, id);
  }
}
