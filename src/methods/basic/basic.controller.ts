import { Controller, Get } from '@nestjs/common';
import { Authenticate, Caller, SelfService } from '../../authentication/plan.js';
import type { Principal } from '../../authentication/principal.js';

@Controller()
@SelfService()
export class BasicController {
  @Get('demo/basic')
  @Authenticate('basic')
  demo(@Caller() caller: Principal): Principal {
    return caller;
  }
}
