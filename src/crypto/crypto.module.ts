import { Module } from '@nestjs/common';
import type { Schema } from '../database/index.js';
import { SigningKey } from './signing-key.entity.js';
import { SigningKeys } from './signing-keys.js';
import { SigningKeys1700000302000 } from './signing-keys.migration.js';

export const cryptoSchema: Schema = { entities: [SigningKey], migrations: [SigningKeys1700000302000] };

@Module({ providers: [SigningKeys], exports: [SigningKeys] })
export class CryptoModule {}
