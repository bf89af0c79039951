import { Controller, Get, Inject } from '@nestjs/common';
import { Authenticator, AUTH_METHODS } from '../authentication/authenticator.js';
import { Caller, Public, SelfService } from '../authentication/plan.js';
import type { AuthMethod } from '../authentication/method.js';
import type { Principal } from '../authentication/principal.js';

@Controller()
export class MeController {
  constructor(
    @Inject(AUTH_METHODS) private readonly installed: readonly AuthMethod[],
    private readonly authenticator: Authenticator,
  ) {}

  /** The caller's principal, as every route sees it. */
  @Get('me')
  @SelfService()
  me(@Caller() caller: Principal): Principal {
    return caller;
  }

  /** The installed methods. */
  @Get('methods')
  @Public()
  methods() {
    return this.installed.map(({ name, strategy }) => ({
      name,
      proves: strategy ? 'requests' : 'a ceremony',
      ...(strategy && { challenge: String(this.authenticator.challengeOf(name)) }),
      docs: `docs/methods/${name}.md`,
    }));
  }
}
