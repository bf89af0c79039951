import { Module } from '@nestjs/common';
import { ReplayStoreModule } from '../../crypto/replay-store.module.js';
import { secretBoxFor } from '../../crypto/secret-box.js';
import { HmacController } from './hmac.controller.js';
import { HmacDemo } from './hmac.demo.js';
import { HmacService } from './hmac.service.js';
import { HmacStrategy } from './hmac.strategy.js';

@Module({
  imports: [ReplayStoreModule],
  controllers: [HmacController],
  providers: [secretBoxFor('hmac-keys'), HmacService, HmacStrategy, HmacDemo],
})
export class HmacModule {}
