import { Module } from '@nestjs/common';
import { PasswordsModule } from '../../passwords/passwords.module.js';
import { PasswordChange } from './password-change.service.js';
import { PasswordController } from './password.controller.js';
import { PasswordLogin } from './password.service.js';

@Module({
  imports: [PasswordsModule],
  controllers: [PasswordController],
  providers: [PasswordLogin, PasswordChange],
})
export class PasswordModule {}
