import { Controller, Delete, Get, HttpCode, Param } from '@nestjs/common';
import { Caller, SelfService } from '../authentication/plan.js';
import type { Principal } from '../authentication/principal.js';
import { Consents } from './consents.js';

@Controller('consents')
@SelfService()
export class ConsentsController {
  constructor(private readonly consents: Consents) {}

  @Get()
  async list(@Caller() caller: Principal) {
    return { items: await this.consents.list(caller) };
  }

  @Delete(':id')
  @HttpCode(204)
  withdraw(@Caller() caller: Principal, @Param('id') id: string): Promise<void> {
    return this.consents.withdraw(caller, id);
  }
}
