import { Controller, Get, HttpCode, Param, Post } from '@nestjs/common';
import { Caller, SelfService } from '../../authentication/plan.js';
import type { Principal } from '../../authentication/principal.js';
import { BackchannelDecisions } from './backchannel-decisions.js';

/** Where a person decides what applications ask for behind the scenes (CIBA). */
@Controller('backchannel-requests')
@SelfService()
export class BackchannelController {
  constructor(private readonly decisions: BackchannelDecisions) {}

  @Get()
  async list(@Caller() caller: Principal) {
    return { items: await this.decisions.list(caller) };
  }

  @Post(':id/approve')
  @HttpCode(204)
  approve(@Caller() caller: Principal, @Param('id') id: string): Promise<void> {
    return this.decisions.decide(caller, id, 'approve');
  }

  @Post(':id/deny')
  @HttpCode(204)
  deny(@Caller() caller: Principal, @Param('id') id: string): Promise<void> {
    return this.decisions.decide(caller, id, 'deny');
  }
}
