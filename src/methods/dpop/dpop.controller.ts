import { Controller, Get } from '@nestjs/common';
import { Authenticate, Caller, SelfService } from '../../authentication/plan.js';
import type { Principal } from '../../authentication/principal.js';

@Controller()
@SelfService()
export class DpopController {
  @Get('demo/dpop')
  @Authenticate('dpop')
  demo(@Caller() caller: Principal): Principal {
    return caller;
  }
}
