import { Module } from '@nestjs/common';
import { PasswordsModule } from '../../passwords/passwords.module.js';
import { PasswordChangeService } from './password-change.service.js';
import { PasswordController } from './password.controller.js';
import { PasswordFactor } from './password.factor.js';
import { PasswordLoginService } from './password.service.js';

@Module({
  imports: [PasswordsModule],
  controllers: [PasswordController],
  providers: [PasswordLoginService, PasswordChangeService, PasswordFactor],
})
export class PasswordModule {}
