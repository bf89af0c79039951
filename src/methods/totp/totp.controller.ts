import { Body, Controller, Delete, Get, HttpCode, Post } from '@nestjs/common';
import { z } from 'zod';
import { Describe, RECENT_SIGN_IN_ERRORS, Reissued, text } from '../../authentication/describe.js';
import { FACTORS } from '../../authentication/factors.js';
import { Caller, CurrentRequest, HttpsOnly, SelfService } from '../../authentication/plan.js';
import { type Principal, assertMayManageCredentials } from '../../authentication/principal.js';
import type { AuthRequest } from '../../authentication/request.js';
import { SignInService } from '../../users/sign-in.service.js';
import { TotpService, type TotpEnrolment } from './totp.service.js';

const Enrolment = z
  .object({ secret: z.string(), uri: z.string(), qr: z.string() })
  .meta({ id: 'TotpEnrolment' });

const Confirmation = z
  .strictObject({ code: text(20, 1) })
  .meta({ id: 'TotpConfirmation', example: { code: '287082' } });

const TotpView = z
  .object({ enrolled: z.boolean(), createdAt: z.date().nullable(), lastUsedAt: z.date().nullable() })
  .meta({ id: 'Totp' });

/** The caller's authenticator app. */
@Controller('totp')
@SelfService()
@HttpsOnly()
export class TotpController {
  constructor(
    private readonly totp: TotpService,
    private readonly signIns: SignInService,
  ) {}

  @Get()
  @Describe('Show the authenticator app', { response: TotpView, errors: ['403 limited_credential'] })
  async showTotp(@Caller() caller: Principal) {
    assertMayManageCredentials(caller);
    const app = await this.totp.find(caller.id);
    const { createdAt = null, lastUsedAt = null } = app ?? {};
    return { enrolled: app !== null, createdAt, lastUsedAt };
  }

  /** Creates a secret for an app. It counts after a code of the app has confirmed it. */
  @Post()
  @Describe('Start to enrol an authenticator app', {
    response: Enrolment,
    errors: RECENT_SIGN_IN_ERRORS,
  })
  enrolTotp(@Caller() caller: Principal): Promise<TotpEnrolment> {
    return this.totp.enrol(caller);
  }

  /** Confirms the app, and ends all sign-ins of the account. Returns a new credential for the caller, if an issuer issued it. */
  @Post('confirm')
  @Describe('Confirm an authenticator app', {
    response: Reissued,
    headers: ['Set-Cookie'],
    errors: [...RECENT_SIGN_IN_ERRORS, '409 totp_not_pending'],
  })
  @HttpCode(200)
  async confirmTotp(
    @Body({ schema: Confirmation }) { code }: z.output<typeof Confirmation>,
    @Caller() caller: Principal,
    @CurrentRequest() request: AuthRequest,
  ): Promise<object> {
    const epoch = await this.totp.confirm(caller, code);
    return (await this.signIns.reissue(caller, epoch, request, FACTORS.totp.amr)) ?? {};
  }

  /** Removes the app, and ends all sign-ins of the account. Returns a new credential for the caller, if an issuer issued it. */
  @Delete()
  @Describe('Remove the authenticator app', {
    response: Reissued,
    headers: ['Set-Cookie'],
    errors: [...RECENT_SIGN_IN_ERRORS, '404 not_found'],
  })
  async removeTotp(@Caller() caller: Principal, @CurrentRequest() request: AuthRequest): Promise<object> {
    const epoch = await this.totp.removeApp(caller);
    return (await this.signIns.reissue(caller, epoch, request)) ?? {};
  }
}
