import { Controller, Get } from '@nestjs/common';
import { Describe, PrincipalView } from '../../authentication/describe.js';
import { Authenticate, Caller, SelfService } from '../../authentication/plan.js';
import type { Principal } from '../../authentication/principal.js';

@Controller()
@SelfService()
export class BasicController {
  @Get('demo/basic')
  @Describe('Show the caller, by basic', { response: PrincipalView })
  @Authenticate('basic')
  showBasicCaller(@Caller() caller: Principal): Principal {
    return caller;
  }
}
