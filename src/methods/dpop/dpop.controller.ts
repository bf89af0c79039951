import { Controller, Get } from '@nestjs/common';
import { Authenticate, Caller, SelfService, type Principal } from '../../authentication/index.js';

@Controller()
@SelfService()
export class DpopController {
  @Get('demo/dpop')
  @Authenticate('dpop')
  demo(@Caller() caller: Principal): Principal {
    return caller;
  }
}
