import { Global, Module } from '@nestjs/common';
import { PasswordsModule } from '../passwords/passwords.module.js';
import { AccountTokens } from './account-tokens.service.js';
import { MailLimits } from './mail-limits.service.js';
import { NoticesService } from './notices.service.js';
import { PasswordResetController } from './password-reset.controller.js';
import { PasswordResetService } from './password-reset.service.js';

/** The life of an account: registration, recovery, changes and deletion. Global, because every method sends notices. */
@Global()
@Module({
  imports: [PasswordsModule],
  controllers: [PasswordResetController],
  providers: [AccountTokens, MailLimits, NoticesService, PasswordResetService],
  exports: [NoticesService, PasswordResetService],
})
export class AccountsModule {}
