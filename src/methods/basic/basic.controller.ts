import { Controller, Get } from '@nestjs/common';
import { Authenticate, Caller, SelfService, type Principal } from '../../authentication/index.js';

@Controller()
@SelfService()
export class BasicController {
  @Get('demo/basic')
  @Authenticate('basic')
  demo(@Caller() caller: Principal): Principal {
    return caller;
  }
}
