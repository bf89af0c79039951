import { Body, Controller, HttpCode, HttpStatus, Param, Post } from '@nestjs/common';
import { z } from 'zod';
import { Describe, Tag } from '../authentication/describe.js';
import { Caller, HttpsOnly, Public } from '../authentication/plan.js';
import type { Principal } from '../authentication/principal.js';
import type { AppAbility } from '../authorization/app-ability.js';
import { Ability, Can } from '../authorization/can.guard.js';
import { User } from '../users/user.entity.js';
import { RecoveryService } from './recovery.service.js';
import { ACCOUNT_TAG, MailedToken } from './request-fields.js';

const RecoveryView = z.object({ dueAt: z.date() }).meta({ id: 'AccountRecovery' });

const RecoveryCancellation = z
  .strictObject({ token: MailedToken })
  .meta({ id: 'RecoveryCancellation', example: { token: '…' } });

@Controller('accounts')
@Tag('Accounts of people', 'The accounts of a tenant, for its administrators.')
export class RecoveryController {
  constructor(private readonly recoveries: RecoveryService) {}

  /** Mails the holder a link that cancels. At `dueAt` the second factors are removed, and a link to a new password is mailed. */
  @Post(':id/recovery')
  @Describe('Recover an account without its factors', {
    response: RecoveryView,
    errors: [
      '403 limited_credential',
      '404 not_found',
      '409 second_factor_not_set',
      '409 email_not_verified',
      '503 mail_unavailable',
    ],
  })
  @Can('update', User)
  @HttpCode(HttpStatus.ACCEPTED)
  async recoverAccount(@Caller() caller: Principal, @Ability() ability: AppAbility, @Param('id') id: string) {
    return { dueAt: await this.recoveries.request(caller, ability, id) };
  }
}

@Controller('auth/account-recovery')
@Tag('Account', ACCOUNT_TAG)
@Public()
@HttpsOnly()
export class RecoveryCancellationController {
  constructor(private readonly recoveries: RecoveryService) {}

  /** Keeps the second factors, by a mailed token. */
  @Post('cancel')
  @Describe('Cancel the recovery of an account', { errors: ['400 invalid_mailed_token'] })
  @HttpCode(HttpStatus.NO_CONTENT)
  async cancelRecovery(
    @Body({ schema: RecoveryCancellation }) { token }: z.output<typeof RecoveryCancellation>,
  ): Promise<void> {
    await this.recoveries.cancel(token);
  }
}
