import { Module } from '@nestjs/common';
import type { Schema } from '../database/columns.js';
import { UsedOnce1700000303000 } from './replay-store.migration.js';
import { ReplayStoreModule } from './replay-store.module.js';
import { UsedValue } from './replay-store.service.js';
import { SigningKey } from './signing-key.entity.js';
import { SigningKeys1700000302000 } from './signing-keys.migration.js';
import { SigningKeys } from './signing-keys.service.js';

export const cryptoSchema: Schema = {
  entities: [SigningKey, UsedValue],
  migrations: [SigningKeys1700000302000, UsedOnce1700000303000],
};

@Module({ imports: [ReplayStoreModule], providers: [SigningKeys], exports: [ReplayStoreModule, SigningKeys] })
export class CryptoModule {}
