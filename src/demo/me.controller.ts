import { Controller, Get, Inject } from '@nestjs/common';
import {
  Authenticator,
  Caller,
  AUTH_METHODS,
  Public,
  SelfService,
  type AuthMethod,
  type Principal,
} from '../authentication/index.js';

@Controller()
export class MeController {
  constructor(
    @Inject(AUTH_METHODS) private readonly installed: readonly AuthMethod[],
    private readonly authenticator: Authenticator,
  ) {}

  /** Who is calling, as every other route sees it. */
  @Get('me')
  @SelfService()
  me(@Caller() caller: Principal): Principal {
    return caller;
  }

  /** How a caller can say who it is, on this installation. */
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
