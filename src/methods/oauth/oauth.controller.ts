import { Controller, Get } from '@nestjs/common';
import { Describe, PrincipalView } from '../../authentication/describe.js';
import { Authenticate, Caller, SelfService } from '../../authentication/plan.js';
import type { Principal } from '../../authentication/principal.js';

@Controller()
@SelfService()
export class OauthController {
  @Get('demo/oauth')
  @Describe('Show the caller, by oauth', { response: PrincipalView })
  @Authenticate('oauth')
  showOauthCaller(@Caller() caller: Principal): Principal {
    return caller;
  }
}
