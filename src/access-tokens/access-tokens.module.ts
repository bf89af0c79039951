import { Module } from '@nestjs/common';
import { CryptoModule } from '../crypto/index.js';
import type { Schema } from '../database/index.js';
import { AccessToken } from './access-token.entity.js';
import { AccessTokens1700000406000 } from './access-tokens.migration.js';
import { AccessTokensSweep } from './access-tokens.sweep.js';
import { AccessTokens } from './access-tokens.js';
import { ForeignTokens } from './foreign-tokens.js';
import { OwnTokens } from './own-tokens.js';
import { ProtectedResourceController } from './protected-resource.controller.js';

export const accessTokensSchema: Schema = {
  entities: [AccessToken],
  migrations: [AccessTokens1700000406000],
};

@Module({
  imports: [CryptoModule],
  controllers: [ProtectedResourceController],
  providers: [AccessTokensSweep, AccessTokens, OwnTokens, ForeignTokens],
  exports: [AccessTokens],
})
export class AccessTokensModule {}
