import { Controller, Delete, Get, HttpCode, Param } from '@nestjs/common';
import { Describe, Tag, listOf } from '../../authentication/describe.js';
import { Caller, SelfService } from '../../authentication/plan.js';
import { z } from 'zod';
import type { Principal } from '../../authentication/principal.js';
import { ConsentsService } from './consents.service.js';

const ConsentView = z
  .object({
    id: z.string(),
    client: z.object({ id: z.string(), name: z.string() }),
    scopes: z.array(z.string()),
    details: z.array(z.looseObject({ type: z.string() })).optional(),
    since: z.date(),
    expiresAt: z.date(),
  })
  .meta({ id: 'Consent' });

@Controller('consents')
@Tag(
  'Authorization server',
  'OAuth clients, consents and back-channel requests. Its protocol endpoints are below `/oidc`.',
)
@SelfService()
export class ConsentsController {
  constructor(private readonly consents: ConsentsService) {}

  @Get()
  @Describe('List consents', { response: listOf(ConsentView), errors: ['403 limited_credential'] })
  async listConsents(@Caller() caller: Principal) {
    return { items: await this.consents.list(caller) };
  }

  @Delete(':id')
  @Describe('Withdraw a consent', { errors: ['403 limited_credential'] })
  @HttpCode(204)
  revokeConsent(@Caller() caller: Principal, @Param('id') id: string): Promise<void> {
    return this.consents.revoke(caller, id);
  }
}
