import { Controller, Get, HttpCode, Param, Post } from '@nestjs/common';
import { Describe, RECENT_SIGN_IN_ERRORS, Tag, listOf } from '../../authentication/describe.js';
import { Caller, SelfService } from '../../authentication/plan.js';
import { z } from 'zod';
import type { Principal } from '../../authentication/principal.js';
import { BackchannelAuthentication } from './backchannel-authentication.service.js';

const BackchannelRequest = z
  .object({
    id: z.string(),
    client: z.object({ id: z.string(), name: z.string() }),
    bindingMessage: z.string().optional(),
    scopes: z.array(z.string()),
    expiresAt: z.date(),
  })
  .meta({ id: 'BackchannelRequest' });

/** A person's decisions on backchannel authentication requests (CIBA). */
@Controller('backchannel-requests')
@Tag(
  'Authorization server',
  'OAuth clients, consents and back-channel requests. Its protocol endpoints are below `/oidc`.',
)
@SelfService()
export class BackchannelAuthenticationController {
  constructor(private readonly authentication: BackchannelAuthentication) {}

  @Get()
  @Describe('List back-channel authentication requests', {
    response: listOf(BackchannelRequest),
    errors: ['403 limited_credential'],
  })
  async listBackchannelRequests(@Caller() caller: Principal) {
    return { items: await this.authentication.list(caller) };
  }

  @Post(':id/approve')
  @Describe('Approve a back-channel authentication request', {
    errors: RECENT_SIGN_IN_ERRORS,
  })
  @HttpCode(204)
  approveBackchannelRequest(@Caller() caller: Principal, @Param('id') id: string): Promise<void> {
    return this.authentication.decide(caller, id, 'approve');
  }

  @Post(':id/deny')
  @Describe('Deny a back-channel authentication request', { errors: ['403 limited_credential'] })
  @HttpCode(204)
  denyBackchannelRequest(@Caller() caller: Principal, @Param('id') id: string): Promise<void> {
    return this.authentication.decide(caller, id, 'deny');
  }
}
