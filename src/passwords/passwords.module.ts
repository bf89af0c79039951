import { Module } from '@nestjs/common';
import { LoginAttempts } from './login-attempts.service.js';
import { PasswordHashing } from './password-hashing.service.js';
import { KnownAddress, Password } from './password.entity.js';
import { PasswordsDemo } from './passwords.demo.js';
import { Passwords1700000002000 } from './passwords.migration.js';
import { PasswordsService } from './passwords.service.js';

export const passwordsSchema = {
  entities: [Password, KnownAddress],
  migrations: [Passwords1700000002000],
};

@Module({
  providers: [PasswordHashing, LoginAttempts, PasswordsService, PasswordsDemo],
  exports: [PasswordHashing, LoginAttempts, PasswordsService],
})
export class PasswordsModule {}
