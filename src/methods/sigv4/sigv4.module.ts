import { Module } from '@nestjs/common';
import { ReplayStoreModule } from '../../crypto/replay-store.module.js';
import { secretBoxFor } from '../../crypto/secret-box.js';
import { SigV4Controller } from './sigv4.controller.js';
import { SigV4Demo } from './sigv4.demo.js';
import { SigV4Service } from './sigv4.service.js';
import { SigV4Strategy } from './sigv4.strategy.js';

@Module({
  imports: [ReplayStoreModule],
  controllers: [SigV4Controller],
  providers: [secretBoxFor('access-keys'), SigV4Service, SigV4Strategy, SigV4Demo],
})
export class SigV4Module {}
