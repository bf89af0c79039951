import { Module } from '@nestjs/common';
import { ReplayStoreModule } from '../../crypto/replay-store.module.js';
import { secretBoxFor } from '../../crypto/secret-box.js';
import { WebhookController } from './webhook.controller.js';
import { WebhookDemo } from './webhook.demo.js';
import { WebhookInbox } from './webhook.inbox.service.js';
import { WebhookService } from './webhook.service.js';
import { WebhookStrategy } from './webhook.strategy.js';

@Module({
  imports: [ReplayStoreModule],
  controllers: [WebhookController],
  providers: [secretBoxFor('webhook'), WebhookService, WebhookInbox, WebhookStrategy, WebhookDemo],
})
export class WebhookModule {}
