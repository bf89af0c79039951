import { Module } from '@nestjs/common';
import { PasswordsModule } from '../../passwords/passwords.module.js';
import { PasswordChangeService } from './password-change.service.js';
import { PasswordPageController } from './password.page.controller.js';
import { PasswordController } from './password.controller.js';
import { PasswordFactor } from './password.factor.js';
import { PasswordLoginService } from './password.service.js';

@Module({
  imports: [PasswordsModule],
  controllers: [PasswordController, PasswordPageController],
  providers: [PasswordLoginService, PasswordChangeService, PasswordFactor],
})
export class PasswordModule {}
