import { Body, Controller, Delete, Get, HttpCode, Put } from '@nestjs/common';
import { z } from 'zod';
import { Authenticate, Caller, CurrentRequest, SelfService } from '../../authentication/plan.js';
import type { AuthRequest } from '../../authentication/request.js';
import type { Principal } from '../../authentication/principal.js';
import { DigestService } from './digest.service.js';
import type { DigestCredential } from './digest.entity.js';

/** The limit is far above the longest allowed password. */
const Enable = z.strictObject({ password: z.string().max(1024) });

const toResponse = (row: DigestCredential | null) =>
  row ? { enabled: true, enabledAt: row.enabledAt } : { enabled: false };

@Controller()
@SelfService()
export class DigestController {
  constructor(private readonly digest: DigestService) {}

  @Get('demo/digest')
  @Authenticate('digest')
  demo(@Caller() caller: Principal): Principal {
    return caller;
  }

  @Get('digest')
  async show(@Caller() caller: Principal) {
    return toResponse(await this.digest.find(caller));
  }

  @Put('digest')
  async enable(
    @Caller() caller: Principal,
    @CurrentRequest() request: AuthRequest,
    @Body({ schema: Enable }) { password }: z.output<typeof Enable>,
  ) {
    return toResponse(await this.digest.enable(caller, password, request.ip));
  }

  @Delete('digest')
  @HttpCode(204)
  disable(@Caller() caller: Principal): Promise<void> {
    return this.digest.disable(caller);
  }
}
