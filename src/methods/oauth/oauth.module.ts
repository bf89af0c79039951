import { Module } from '@nestjs/common';
import { AccessTokensModule } from '../../access-tokens/index.js';
import { OauthController } from './oauth.controller.js';
import { OauthStrategy } from './oauth.strategy.js';
import { ServerModule } from './server/index.js';

@Module({
  imports: [AccessTokensModule, ServerModule],
  controllers: [OauthController],
  providers: [OauthStrategy],
})
export class OauthModule {}
