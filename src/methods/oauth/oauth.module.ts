import { Module } from '@nestjs/common';
import { AccessTokensModule } from '../../access-tokens/access-tokens.module.js';
import { OauthController } from './oauth.controller.js';
import { OauthStrategy } from './oauth.strategy.js';

@Module({
  imports: [AccessTokensModule],
  controllers: [OauthController],
  providers: [OauthStrategy],
})
export class OauthModule {}
