import { Body, Controller, Delete, Get, HttpCode, HttpStatus, Patch, Post } from '@nestjs/common';
import { z } from 'zod';
import { Describe, RECENT_SIGN_IN_ERRORS, Tag } from '../authentication/describe.js';
import { Caller, CurrentRequest, HttpsOnly, Public, SelfService } from '../authentication/plan.js';
import type { Principal } from '../authentication/principal.js';
import type { AuthRequest } from '../authentication/request.js';
import { normalizeDisplayName } from '../users/display-name.js';
import { EmailAddress } from '../users/email-address.js';
import { DeletionService } from './deletion.service.js';
import { EmailChangeService } from './email-change.service.js';
import { ProfileService } from './profile.service.js';
import { ACCOUNT_TAG, DisplayName, MAIL_ERRORS, MailedToken, canonical } from './request-fields.js';

const ProfileView = z
  .object({
    id: z.string(),
    username: z.string(),
    name: z.string().nullable(),
    tenantId: z.string(),
    roles: z.array(z.string()),
    email: z.string().nullable(),
    emailVerified: z.boolean(),
  })
  .meta({ id: 'Profile' });

const ProfileChanges = z
  .strictObject({ name: DisplayName.nullable() })
  .meta({ id: 'ProfileChanges', example: { name: 'Alice Example' } });

const DeletionView = z.object({ deletesAt: z.date() }).meta({ id: 'AccountDeletion' });

const EmailChange = z
  .strictObject({ email: EmailAddress })
  .meta({ id: 'EmailChange', example: { email: 'alice@new.example' } });

const EmailConfirmation = z
  .strictObject({ token: MailedToken })
  .meta({ id: 'EmailConfirmation', example: { token: '…' } });

const DeletionCancellation = z
  .strictObject({ token: MailedToken })
  .meta({ id: 'DeletionCancellation', example: { token: '…' } });

const EmailConfirmationResult = z
  .object({ status: z.enum(['verified', 'waiting', 'changed']) })
  .meta({ id: 'EmailConfirmationResult' });

/** The caller's own account. */
@Controller('account')
@Tag('Account', ACCOUNT_TAG)
@SelfService()
@HttpsOnly()
export class ProfileController {
  constructor(
    private readonly profiles: ProfileService,
    private readonly emails: EmailChangeService,
    private readonly deletions: DeletionService,
  ) {}

  @Get()
  @Describe('Show your account', { response: ProfileView, errors: ['403 limited_credential'] })
  async showProfile(@Caller() caller: Principal) {
    return ProfileView.parse(await this.profiles.find(caller));
  }

  @Patch()
  @Describe('Change your display name', { response: ProfileView, errors: ['403 limited_credential'] })
  async changeProfile(
    @Caller() caller: Principal,
    @Body({ schema: ProfileChanges }) { name }: z.output<typeof ProfileChanges>,
  ) {
    const normalized = name === null ? null : normalizeDisplayName(name)!;
    return ProfileView.parse(await this.profiles.changeName(caller, normalized));
  }

  /** Disables the account at once. A mailed link cancels until `deletesAt`. */
  @Delete()
  @Describe('Delete your account', {
    response: DeletionView,
    errors: [...RECENT_SIGN_IN_ERRORS, '409 last_admin'],
  })
  @HttpCode(HttpStatus.ACCEPTED)
  async deleteAccount(@Caller() caller: Principal) {
    return { deletesAt: await this.deletions.request(caller) };
  }

  /** Mails a link to the old and to the new address. Both must be confirmed within 30 minutes. */
  @Post('email')
  @Describe('Change your e-mail address', { errors: [...RECENT_SIGN_IN_ERRORS, ...MAIL_ERRORS] })
  @HttpCode(HttpStatus.ACCEPTED)
  async changeEmail(
    @Caller() caller: Principal,
    @CurrentRequest() { ip }: AuthRequest,
    @Body({ schema: EmailChange }) { email }: z.output<typeof EmailChange>,
  ): Promise<void> {
    await this.emails.request(caller, canonical(email), ip);
  }

  /** Mails a link to an address that an operator has stored. */
  @Post('email/verification')
  @Describe('Verify your e-mail address', {
    errors: ['403 limited_credential', '404 not_found', '409 email_already_verified', ...MAIL_ERRORS],
  })
  @HttpCode(HttpStatus.ACCEPTED)
  async verifyEmail(@Caller() caller: Principal, @CurrentRequest() { ip }: AuthRequest): Promise<void> {
    await this.emails.requestVerification(caller, ip);
  }
}

/** Mailed links also work in another browser than the one that is signed in. */
@Controller('auth/email')
@Tag('Account', ACCOUNT_TAG)
@Public()
@HttpsOnly()
export class EmailConfirmationController {
  constructor(private readonly emails: EmailChangeService) {}

  /** `waiting`: the other address must be confirmed, too. */
  @Post('confirm')
  @Describe('Confirm an e-mail address', {
    response: EmailConfirmationResult,
    errors: ['400 invalid_mailed_token'],
  })
  @HttpCode(HttpStatus.OK)
  async confirmEmail(@Body({ schema: EmailConfirmation }) { token }: z.output<typeof EmailConfirmation>) {
    return { status: await this.emails.confirm(token) };
  }
}

@Controller('auth/account-deletion')
@Tag('Account', ACCOUNT_TAG)
@Public()
@HttpsOnly()
export class DeletionCancellationController {
  constructor(private readonly deletions: DeletionService) {}

  /** Enables the account again, by a mailed token. */
  @Post('cancel')
  @Describe('Cancel the deletion of an account', { errors: ['400 invalid_mailed_token'] })
  @HttpCode(HttpStatus.NO_CONTENT)
  async cancelDeletion(
    @Body({ schema: DeletionCancellation }) { token }: z.output<typeof DeletionCancellation>,
  ): Promise<void> {
    await this.deletions.cancel(token);
  }
}
