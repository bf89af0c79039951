import { Controller, Get } from '@nestjs/common';
import { Authenticate, Caller, SelfService, type Principal } from '../../authentication/index.js';

@Controller()
@SelfService()
export class OauthController {
  @Get('demo/oauth')
  @Authenticate('oauth')
  demo(@Caller() caller: Principal): Principal {
    return caller;
  }
}
