import { Controller, Get } from '@nestjs/common';
import { Authenticate, Caller, SelfService } from '../../authentication/plan.js';
import type { Principal } from '../../authentication/principal.js';

@Controller()
@SelfService()
export class OauthController {
  @Get('demo/oauth')
  @Authenticate('oauth')
  demo(@Caller() caller: Principal): Principal {
    return caller;
  }
}
