import { Module } from '@nestjs/common';
import { AccountPagesController } from './account-pages.controller.js';
import { CancellationPagesController } from './cancellation-pages.controller.js';
import { DeletionDonePageController, DeletionPagesController } from './deletion-pages.controller.js';
import { EmailConfirmationPagesController } from './email-confirmation-pages.controller.js';
import { MailedLinkPages } from './mailed-link-pages.service.js';
import { PasswordResetPagesController } from './password-reset-pages.controller.js';
import { ProfilePagesController } from './profile-pages.controller.js';
import { RegistrationPagesController } from './registration-pages.controller.js';
import { SignInPagesController } from './sign-in-pages.controller.js';

/** The pages of people: sign-in, factors, registration, recovery and the profile. */
@Module({
  controllers: [
    SignInPagesController,
    AccountPagesController,
    PasswordResetPagesController,
    RegistrationPagesController,
    EmailConfirmationPagesController,
    ProfilePagesController,
    DeletionPagesController,
    DeletionDonePageController,
    CancellationPagesController,
  ],
  providers: [MailedLinkPages],
})
export class AccountPagesModule {}
