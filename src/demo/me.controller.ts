import { Controller, Get, Inject } from '@nestjs/common';
import { z } from 'zod';
import { Authenticator, AUTH_METHODS } from '../authentication/authenticator.js';
import { Describe, PrincipalView, Tag } from '../authentication/describe.js';
import { Caller, Public, SelfService } from '../authentication/plan.js';
import type { AuthMethod } from '../authentication/method.js';
import type { Principal } from '../authentication/principal.js';
import { DEMO_TAG } from './combined.controller.js';

const MethodView = z
  .object({
    name: z.string(),
    proves: z.enum(['requests', 'a ceremony']),
    challenge: z.string().optional(),
    docs: z.string(),
  })
  .meta({ id: 'Method' });

@Controller()
@Tag('Demo', DEMO_TAG)
export class MeController {
  constructor(
    @Inject(AUTH_METHODS) private readonly installed: readonly AuthMethod[],
    private readonly authenticator: Authenticator,
  ) {}

  /** The caller's principal, as every route sees it. */
  @Get('me')
  @Describe('Show the caller', { response: PrincipalView })
  @SelfService()
  showCaller(@Caller() caller: Principal): Principal {
    return caller;
  }

  /** The installed methods. */
  @Get('methods')
  @Describe('List the installed methods', { response: z.array(MethodView) })
  @Public()
  listMethods() {
    return this.installed.map(({ name, strategy }) => ({
      name,
      proves: strategy ? 'requests' : 'a ceremony',
      ...(strategy && { challenge: String(this.authenticator.challengeOf(name)) }),
      docs: `docs/methods/${name}.md`,
    }));
  }
}
