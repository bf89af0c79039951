import { Body, Controller, HttpCode, Post } from '@nestjs/common';
import { z } from 'zod';
import { Describe, Tag } from '../authentication/describe.js';
import { Caller, CurrentRequest, SelfService } from '../authentication/plan.js';
import type { Principal } from '../authentication/principal.js';
import type { AuthRequest } from '../authentication/request.js';
import { LogoutService } from './logout.service.js';

const SignOut = z
  .strictObject({ everywhere: z.boolean().default(false) })
  .meta({ id: 'SignOut', example: { everywhere: true } })
  .prefault({});

/** Logging out is not part of a login method: there can be several of them. */
@Controller('auth')
@Tag('Sign-in', 'Sign-ins of all methods.')
@SelfService()
export class LogoutController {
  constructor(private readonly logouts: LogoutService) {}

  /** Ends the session, or the token with its family, that authenticates this request. */
  @Post('logout')
  @Describe('Sign out', {
    headers: ['Set-Cookie', 'Clear-Site-Data'],
    errors: ['400 not_signed_in', '403 limited_credential'],
  })
  @HttpCode(204)
  async logOut(
    @Caller() caller: Principal,
    @CurrentRequest() request: AuthRequest,
    @Body({ schema: SignOut }) { everywhere }: z.output<typeof SignOut>,
  ): Promise<void> {
    await this.logouts.logOut(caller, everywhere, request);
  }
}
