import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { Settings } from '../../config/settings.js';
import { SecretBox } from '../../crypto/secret-box.js';
import { DemoData } from '../../database/demo-data.service.js';
import { WebhookSource } from './webhook.entity.js';

/** A source of the machine's: it delivers messages, and its secret opens nothing else. */
export const DEMO_SOURCE = {
  source: 'src_demo',
  secret: `whsec_${Buffer.from('PublishedSoNeverUsedOutsideDemo!').toString('base64')}`,
};

@Injectable()
export class WebhookDemo implements OnApplicationBootstrap {
  constructor(
    private readonly demo: DemoData,
    private readonly settings: Settings,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    await this.demo.once('webhook-sources', async (manager) => {
      const { source: id, secret } = DEMO_SOURCE;
      await manager.insert(WebhookSource, {
        id,
        userId: 'acme-machine',
        name: 'address book',
        secret: new SecretBox(this.settings, 'webhook').seal(secret, id),
        scopes: [],
        createdAt: new Date(),
      });
    });
  }
}
