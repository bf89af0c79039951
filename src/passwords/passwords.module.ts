import { Module } from '@nestjs/common';
import type { Schema } from '../database/index.js';
import { Attempts } from './attempts.js';
import { Hashing } from './hashing.js';
import { KnownAddress } from './known-address.entity.js';
import { Password } from './password.entity.js';
import { PasswordsDemo } from './passwords.demo.js';
import { Passwords1700000002000 } from './passwords.migration.js';
import { Passwords } from './passwords.js';

export const passwordsSchema: Schema = {
  entities: [Password, KnownAddress],
  migrations: [Passwords1700000002000],
};

@Module({
  providers: [Hashing, Attempts, Passwords, PasswordsDemo],
  exports: [Hashing, Attempts, Passwords],
})
export class PasswordsModule {}
