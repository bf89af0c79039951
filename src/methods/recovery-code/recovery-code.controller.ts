import { Controller, Get, Post } from '@nestjs/common';
import { z } from 'zod';
import { Describe, RECENT_SIGN_IN_ERRORS } from '../../authentication/describe.js';
import { Caller, HttpsOnly, SelfService } from '../../authentication/plan.js';
import { type Principal, assertMayManageCredentials } from '../../authentication/principal.js';
import { RecoveryCodeService } from './recovery-code.service.js';

const RecoveryCodes = z.object({ codes: z.array(z.string()) }).meta({ id: 'RecoveryCodes' });
const RecoveryCodesView = z
  .object({ unused: z.int(), createdAt: z.date().nullable() })
  .meta({ id: 'RecoveryCodesView' });

/** The caller's recovery codes. */
@Controller('recovery-codes')
@SelfService()
@HttpsOnly()
export class RecoveryCodeController {
  constructor(private readonly codes: RecoveryCodeService) {}

  @Get()
  @Describe('Count the unused recovery codes', {
    response: RecoveryCodesView,
    errors: ['403 limited_credential'],
  })
  countRecoveryCodes(@Caller() caller: Principal) {
    assertMayManageCredentials(caller);
    return this.codes.count(caller.id);
  }

  /** Shows the new codes once. The codes before are invalid from now on. */
  @Post()
  @Describe('Create recovery codes', {
    response: RecoveryCodes,
    errors: [...RECENT_SIGN_IN_ERRORS, '409 no_second_factor'],
  })
  async createRecoveryCodes(@Caller() caller: Principal): Promise<{ codes: string[] }> {
    return { codes: await this.codes.create(caller) };
  }
}
