import { Body, Controller, HttpCode, HttpStatus, Post } from '@nestjs/common';
import { z } from 'zod';
import { Describe, Tag } from '../authentication/describe.js';
import { CurrentRequest, HttpsOnly, Public } from '../authentication/plan.js';
import type { AuthRequest } from '../authentication/request.js';
import { EmailAddress } from '../users/email-address.js';
import { PasswordResetService } from './password-reset.service.js';
import { ACCOUNT_TAG, MAIL_ERRORS, MailedToken, NewPassword, canonical } from './request-fields.js';

const ResetRequest = z
  .strictObject({ email: EmailAddress })
  .meta({ id: 'PasswordResetRequest', example: { email: 'alice@acme.example' } });

const ResetCompletion = z.strictObject({ token: MailedToken, new_password: NewPassword }).meta({
  id: 'PasswordReset',
  example: { token: '…', new_password: 'a-new-long-passphrase' },
});

@Controller('auth/password-reset')
@Tag('Account', ACCOUNT_TAG)
@Public()
@HttpsOnly()
export class PasswordResetController {
  constructor(private readonly resets: PasswordResetService) {}

  /** Mails a link that is valid for 30 minutes. The response is the same for an unknown address. */
  @Post()
  @Describe('Request a password reset', { errors: MAIL_ERRORS })
  @HttpCode(HttpStatus.ACCEPTED)
  async requestPasswordReset(
    @Body({ schema: ResetRequest }) { email }: z.output<typeof ResetRequest>,
    @CurrentRequest() { ip }: AuthRequest,
  ): Promise<void> {
    await this.resets.request(canonical(email), ip);
  }

  /** Sets the password and ends all sign-ins of the account. It does not sign in. */
  @Post('complete')
  @Describe('Set a new password', { errors: ['400 invalid_mailed_token', '503 temporarily_unavailable'] })
  @HttpCode(HttpStatus.NO_CONTENT)
  async completePasswordReset(
    @Body({ schema: ResetCompletion }) { token, new_password }: z.output<typeof ResetCompletion>,
  ): Promise<void> {
    await this.resets.complete(token, new_password);
  }
}
