import { Module } from '@nestjs/common';
import { CryptoModule } from '../crypto/crypto.module.js';
import type { Schema } from '../database/data-source.js';
import { AccessToken } from './access-token.entity.js';
import { AccessTokens1700000406000 } from './access-tokens.migration.js';
import { AccessTokensCleanup } from './access-tokens.cleanup.js';
import { AccessTokensService } from './access-tokens.service.js';
import { TrustedIssuerTokens } from './trusted-issuer-tokens.service.js';
import { OwnTokens } from './local-issuer-tokens.service.js';
import { ProtectedResourceController } from './protected-resource-metadata.controller.js';

export const accessTokensSchema: Schema = {
  entities: [AccessToken],
  migrations: [AccessTokens1700000406000],
};

@Module({
  imports: [CryptoModule],
  controllers: [ProtectedResourceController],
  providers: [AccessTokensCleanup, AccessTokensService, OwnTokens, TrustedIssuerTokens],
  exports: [AccessTokensService],
})
export class AccessTokensModule {}
