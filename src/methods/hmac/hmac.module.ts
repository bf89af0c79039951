import { Module } from '@nestjs/common';
import { Settings } from '../../config/settings.js';
import { CryptoModule } from '../../crypto/crypto.module.js';
import { SecretBox } from '../../crypto/secret-box.js';
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
