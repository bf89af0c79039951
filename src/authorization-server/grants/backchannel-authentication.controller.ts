import { Controller, Get, HttpCode, Param, Post } from '@nestjs/common';
import { Caller, SelfService } from '../../authentication/plan.js';
import type { Principal } from '../../authentication/principal.js';
import { BackchannelAuthentication } from './backchannel-authentication.service.js';

/** A person's decisions on backchannel authentication requests (CIBA). */
@Controller('backchannel-requests')
@SelfService()
export class BackchannelAuthenticationController {
  constructor(private readonly authentication: BackchannelAuthentication) {}

  @Get()
  async list(@Caller() caller: Principal) {
    return { items: await this.authentication.list(caller) };
  }

  @Post(':id/approve')
  @HttpCode(204)
  approve(@Caller() caller: Principal, @Param('id') id: string): Promise<void> {
    return this.authentication.decide(caller, id, 'approve');
  }

  @Post(':id/deny')
  @HttpCode(204)
  deny(@Caller() caller: Principal, @Param('id') id: string): Promise<void> {
    return this.authentication.decide(caller, id, 'deny');
  }
}
