import { Module } from '@nestjs/common';
import { AccessTokensModule } from '../../access-tokens/access-tokens.module.js';
import { CryptoModule } from '../../crypto/crypto.module.js';
import { DpopController } from './dpop.controller.js';
import { DpopStrategy } from './dpop.strategy.js';

@Module({
  imports: [CryptoModule, AccessTokensModule],
  controllers: [DpopController],
  providers: [DpopStrategy],
})
export class DpopModule {}
