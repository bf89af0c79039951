import { Module } from '@nestjs/common';
import { ConfigModule } from '@nestjs/config';
import { CryptoModule } from '../crypto/crypto.module.js';
import type { Schema } from '../database/columns.js';
import { AccessToken } from './access-token.entity.js';
import { AccessTokens1700000406000 } from './access-tokens.migration.js';
import { AccessTokensService } from './access-tokens.service.js';
import { LocalIssuerTokens } from './local-issuer-tokens.service.js';
import { ProtectedResourceMetadataController } from './protected-resource-metadata.controller.js';
import { TrustedIssuerTokens } from './trusted-issuer-tokens.service.js';
import { trustedIssuersConfig } from './trusted-issuers.config.js';

export const accessTokensSchema: Schema = {
  entities: [AccessToken],
  migrations: [AccessTokens1700000406000],
};

@Module({
  imports: [ConfigModule.forFeature(trustedIssuersConfig), CryptoModule],
  controllers: [ProtectedResourceMetadataController],
  providers: [AccessTokensService, LocalIssuerTokens, TrustedIssuerTokens],
  exports: [AccessTokensService],
})
export class AccessTokensModule {}
