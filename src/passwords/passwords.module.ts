import { Module } from '@nestjs/common';
import type { Schema } from '../database/data-source.js';
import { LoginAttempts } from './login-attempts.service.js';
import { PasswordHashing } from './password-hashing.service.js';
import { KnownAddress } from './known-address.entity.js';
import { Password } from './password.entity.js';
import { PasswordsDemo } from './passwords.demo.js';
import { Passwords1700000002000 } from './passwords.migration.js';
import { PasswordsService } from './passwords.service.js';

export const passwordsSchema: Schema = {
  entities: [Password, KnownAddress],
  migrations: [Passwords1700000002000],
};

@Module({
  providers: [PasswordHashing, LoginAttempts, PasswordsService, PasswordsDemo],
  exports: [PasswordHashing, LoginAttempts, PasswordsService],
})
export class PasswordsModule {}
