import { Body, Controller, HttpCode, HttpStatus, Post } from '@nestjs/common';
import { z } from 'zod';
import { Describe, Tag, text } from '../authentication/describe.js';
import { CurrentRequest, HttpsOnly, Public } from '../authentication/plan.js';
import type { AuthRequest } from '../authentication/request.js';
import { normalizeDisplayName } from '../users/display-name.js';
import { EmailAddress } from '../users/email-address.js';
import { RegistrationService } from './registration.service.js';
import {
  ACCOUNT_TAG,
  DisplayName,
  MAIL_ERRORS,
  MailedToken,
  NewPassword,
  canonical,
} from './request-fields.js';

const RegistrationRequest = z
  .strictObject({ email: EmailAddress, name: DisplayName.optional() })
  .meta({ id: 'RegistrationRequest', example: { email: 'erin@acme.example', name: 'Erin Example' } });

const RegistrationCompletion = z
  .strictObject({ token: MailedToken, password: NewPassword, username: text(64, 1).optional() })
  .meta({
    id: 'Registration',
    example: { token: '…', password: 'a-new-long-passphrase', username: 'erin' },
  });

const RegisteredAccount = z
  .object({ id: z.string(), username: z.string(), tenantId: z.string() })
  .meta({ id: 'RegisteredAccount' });

@Controller('auth/register')
@Tag('Account', ACCOUNT_TAG)
@Public()
@HttpsOnly()
export class RegistrationController {
  constructor(private readonly registrations: RegistrationService) {}

  /** Mails a link that is valid for 24 hours. The response is the same for an address that has an account. */
  @Post()
  @Describe('Register', { errors: ['403 registration_closed', ...MAIL_ERRORS] })
  @HttpCode(HttpStatus.ACCEPTED)
  async register(
    @Body({ schema: RegistrationRequest }) { email, name }: z.output<typeof RegistrationRequest>,
    @CurrentRequest() { ip }: AuthRequest,
  ): Promise<void> {
    await this.registrations.request(
      canonical(email),
      name === undefined ? null : normalizeDisplayName(name)!,
      ip,
    );
  }

  /** Creates the account of a mailed link. It does not sign in. */
  @Post('complete')
  @Describe('Complete a registration', {
    response: RegisteredAccount,
    errors: [
      '400 invalid_mailed_token',
      '403 registration_closed',
      '409 username_taken',
      '429 too_many_attempts',
      '503 temporarily_unavailable',
    ],
  })
  async completeRegistration(
    @Body({ schema: RegistrationCompletion }) registration: z.output<typeof RegistrationCompletion>,
  ) {
    return RegisteredAccount.parse(await this.registrations.complete(registration));
  }
}
