import { Controller, Get } from '@nestjs/common';
import { Describe, PrincipalView } from '../../authentication/describe.js';
import { Authenticate, Caller, SelfService } from '../../authentication/plan.js';
import type { Principal } from '../../authentication/principal.js';

@Controller()
@SelfService()
export class DpopController {
  @Get('demo/dpop')
  @Describe('Show the caller, by dpop', { response: PrincipalView })
  @Authenticate('dpop')
  showDpopCaller(@Caller() caller: Principal): Principal {
    return caller;
  }
}
