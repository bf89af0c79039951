import { Module } from '@nestjs/common';
import { Settings } from '../../config/index.js';
import { CryptoModule, SecretBox } from '../../crypto/index.js';
import { HmacController } from './hmac.controller.js';
import { HmacDemo } from './hmac.demo.js';
import { HmacStrategy } from './hmac.strategy.js';

@Module({
  imports: [CryptoModule],
  controllers: [HmacController],
  providers: [
    {
      provide: SecretBox,
      inject: [Settings],
      useFactory: (settings: Settings) => new SecretBox(settings, 'hmac-keys'),
    },
    HmacStrategy,
    HmacDemo,
  ],
})
export class HmacModule {}
