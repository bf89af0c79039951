import { Module } from '@nestjs/common';
import type { Schema } from '../database/columns.js';
import { ReplayStoreModule, replayStoreSchema } from './replay-store.module.js';
import { SigningKey } from './signing-key.entity.js';
import { SigningKeyAlgorithm1700000600000, SigningKeys1700000302000 } from './signing-keys.migration.js';
import { SigningKeys } from './signing-keys.service.js';

export const signingKeysSchema: Schema = {
  entities: [SigningKey],
  migrations: [SigningKeys1700000302000, SigningKeyAlgorithm1700000600000],
};

export const cryptoSchema: Schema = {
  entities: [...signingKeysSchema.entities, ...replayStoreSchema.entities],
  migrations: [...signingKeysSchema.migrations, ...replayStoreSchema.migrations],
};

@Module({ imports: [ReplayStoreModule], providers: [SigningKeys], exports: [ReplayStoreModule, SigningKeys] })
export class CryptoModule {}
