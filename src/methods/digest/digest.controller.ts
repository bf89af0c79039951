import { Body, Controller, Delete, Get, HttpCode, Put } from '@nestjs/common';
import { z } from 'zod';
import { Describe, PrincipalView, text } from '../../authentication/describe.js';
import { Authenticate, Caller, CurrentRequest, SelfService } from '../../authentication/plan.js';
import type { AuthRequest } from '../../authentication/request.js';
import type { Principal } from '../../authentication/principal.js';
import { DigestService } from './digest.service.js';
import type { DigestCredential } from './digest.entity.js';

/** The limit is far above the longest allowed password. */
const Enable = z
  .strictObject({ password: text(1024) })
  .meta({ id: 'EnableDigest', example: { password: 'correct-horse-battery-staple' } });

const toResponse = (row: DigestCredential | null) =>
  row ? { enabled: true, enabledAt: row.enabledAt } : { enabled: false };

const DigestView = z.object({ enabled: z.boolean(), enabledAt: z.date().optional() }).meta({ id: 'Digest' });

@Controller()
@SelfService()
export class DigestController {
  constructor(private readonly digest: DigestService) {}

  @Get('demo/digest')
  @Describe('Show the caller, by digest', { response: PrincipalView })
  @Authenticate('digest')
  showDigestCaller(@Caller() caller: Principal): Principal {
    return caller;
  }

  @Get('digest')
  @Describe('Show whether Digest is enabled', { response: DigestView, errors: ['403 limited_credential'] })
  async readDigest(@Caller() caller: Principal) {
    return toResponse(await this.digest.find(caller));
  }

  @Put('digest')
  @Describe('Enable Digest', {
    response: DigestView,
    errors: [
      '403 incorrect_password',
      '403 limited_credential',
      '404 password_not_set',
      '429 too_many_attempts',
      '503 temporarily_unavailable',
    ],
  })
  async enableDigest(
    @Caller() caller: Principal,
    @CurrentRequest() request: AuthRequest,
    @Body({ schema: Enable }) { password }: z.output<typeof Enable>,
  ) {
    return toResponse(await this.digest.enable(caller, password, request.ip));
  }

  @Delete('digest')
  @Describe('Disable Digest', { errors: ['403 limited_credential'] })
  @HttpCode(204)
  disableDigest(@Caller() caller: Principal): Promise<void> {
    return this.digest.disable(caller);
  }
}
