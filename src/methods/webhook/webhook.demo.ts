import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { SecretBox } from '../../crypto/secret-box.js';
import { DemoPort } from '../../authentication/ports.js';
import { WebhookSource } from './webhook.entity.js';

/** The demo source of the machine account. It has no scopes, so it may only deliver messages. */
export const DEMO_SOURCE = {
  source: 'src_demo',
  secret: `whsec_${Buffer.from('PublishedSoNeverUsedOutsideDemo!').toString('base64')}`,
};

@Injectable()
export class WebhookDemo implements OnApplicationBootstrap {
  constructor(
    private readonly demo: DemoPort,
    private readonly box: SecretBox,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    await this.demo.once('webhook-sources', async (manager: EntityManager) => {
      const { source: id, secret } = DEMO_SOURCE;
      await manager.insert(WebhookSource, {
        id,
        userId: 'acme-machine',
        name: 'address book',
        secret: this.box.seal(secret, id),
        scopes: [],
        createdAt: new Date(),
      });
    });
  }
}
