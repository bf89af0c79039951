import { Module } from '@nestjs/common';
import { CryptoModule } from '../../crypto/crypto.module.js';
import { WebhookController } from './webhook.controller.js';
import { WebhookDemo } from './webhook.demo.js';
import { WebhookInbox } from './webhook.inbox.js';
import { WebhookService } from './webhook.service.js';
import { WebhookStrategy } from './webhook.strategy.js';

@Module({
  imports: [CryptoModule],
  controllers: [WebhookController],
  providers: [WebhookStrategy, WebhookService, WebhookInbox, WebhookDemo],
})
export class WebhookModule {}
