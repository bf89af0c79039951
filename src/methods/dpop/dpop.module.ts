import { Module } from '@nestjs/common';
import { AccessTokensModule } from '../../access-tokens/index.js';
import { CryptoModule } from '../../crypto/index.js';
import { DpopController } from './dpop.controller.js';
import { DpopStrategy } from './dpop.strategy.js';

@Module({
  imports: [CryptoModule, AccessTokensModule],
  controllers: [DpopController],
  providers: [DpopStrategy],
})
export class DpopModule {}
