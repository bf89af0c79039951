import { Controller, Delete, Get, HttpCode, Param } from '@nestjs/common';
import { Caller, SelfService } from '../../authentication/plan.js';
import type { Principal } from '../../authentication/principal.js';
import { ConsentsService } from './consents.service.js';

@Controller('consents')
@SelfService()
export class ConsentsController {
  constructor(private readonly consents: ConsentsService) {}

  @Get()
  async list(@Caller() caller: Principal) {
    return { items: await this.consents.list(caller) };
  }

  @Delete(':id')
  @HttpCode(204)
  revoke(@Caller() caller: Principal, @Param('id') id: string): Promise<void> {
    return this.consents.revoke(caller, id);
  }
}
