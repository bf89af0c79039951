import { Module, type DynamicModule } from '@nestjs/common';
import type { Settings } from '../config/settings.js';
import { PasswordsModule } from '../passwords/passwords.module.js';
import { AccountRemoval } from '../users/account-removal.service.js';
import { AccountTokens } from './account-tokens.service.js';
import { AccountsConfig } from './accounts.config.js';
import { DeletionService } from './deletion.service.js';
import { EmailChangeService } from './email-change.service.js';
import { InvitationsController } from './invitations.controller.js';
import { InvitationsService } from './invitations.service.js';
import { MailLimits } from './mail-limits.service.js';
import { NoticesService } from './notices.service.js';
import { PasswordResetController } from './password-reset.controller.js';
import { PasswordResetService } from './password-reset.service.js';
import {
  DeletionCancellationController,
  EmailConfirmationController,
  ProfileController,
} from './profile.controller.js';
import { ProfileService } from './profile.service.js';
import { RecoveryCancellationController, RecoveryController } from './recovery.controller.js';
import { RecoveryService } from './recovery.service.js';
import { RegistrationController } from './registration.controller.js';
import { RegistrationService } from './registration.service.js';
import { UserAccountsController } from './user-accounts.controller.js';
import { UserAccountsService } from './user-accounts.service.js';

/** The life of an account: registration, recovery, changes and deletion. */
@Module({})
export class AccountsModule {
  /** @throws InvalidSettings */
  static forRoot(settings: Settings): DynamicModule {
    return {
      module: AccountsModule,
      // Every method sends notices.
      global: true,
      imports: [PasswordsModule],
      controllers: [
        PasswordResetController,
        RegistrationController,
        ProfileController,
        EmailConfirmationController,
        DeletionCancellationController,
        InvitationsController,
        UserAccountsController,
        RecoveryController,
        RecoveryCancellationController,
      ],
      providers: [
        { provide: AccountsConfig, useValue: AccountsConfig.from(settings) },
        AccountTokens,
        AccountRemoval,
        DeletionService,
        EmailChangeService,
        InvitationsService,
        MailLimits,
        NoticesService,
        PasswordResetService,
        ProfileService,
        RecoveryService,
        RegistrationService,
        UserAccountsService,
      ],
      exports: [
        RecoveryService,
        AccountRemoval,
        DeletionService,
        AccountTokens,
        AccountsConfig,
        EmailChangeService,
        NoticesService,
        PasswordResetService,
        ProfileService,
        RegistrationService,
      ],
    };
  }
}
