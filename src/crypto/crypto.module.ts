import { Module } from '@nestjs/common';
import type { Schema } from '../database/data-source.js';
import { ReplayStore, UsedValue } from './replay-store.service.js';
import { UsedOnce1700000303000 } from './replay-store.migration.js';
import { SigningKey } from './signing-key.entity.js';
import { SigningKeys } from './signing-keys.service.js';
import { SigningKeys1700000302000 } from './signing-keys.migration.js';

export const cryptoSchema: Schema = {
  entities: [SigningKey, UsedValue],
  migrations: [SigningKeys1700000302000, UsedOnce1700000303000],
};

@Module({ providers: [SigningKeys, ReplayStore], exports: [SigningKeys, ReplayStore] })
export class CryptoModule {}
