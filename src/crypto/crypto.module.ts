import { Module } from '@nestjs/common';
import type { Schema } from '../database/index.js';
import { OneTime, UsedOnce } from './one-time.js';
import { UsedOnce1700000303000 } from './one-time.migration.js';
import { SigningKey } from './signing-key.entity.js';
import { SigningKeys } from './signing-keys.js';
import { SigningKeys1700000302000 } from './signing-keys.migration.js';

export const cryptoSchema: Schema = {
  entities: [SigningKey, UsedOnce],
  migrations: [SigningKeys1700000302000, UsedOnce1700000303000],
};

@Module({ providers: [SigningKeys, OneTime], exports: [SigningKeys, OneTime] })
export class CryptoModule {}
