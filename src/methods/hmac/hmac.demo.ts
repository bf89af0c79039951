import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { SecretBox } from '../../crypto/secret-box.js';
import { DemoPort } from '../../authentication/ports.js';
import { HmacKey } from './hmac.entity.js';

/** The demo key of the machine account. It has no scope limit. */
export const DEMO_KEY = {
  id: 'DemoHmacMachine0',
  secret: 'atlas_hmac_PublishedSoNeverUsedOutsideOfTheDemo0000001',
};

@Injectable()
export class HmacDemo implements OnApplicationBootstrap {
  constructor(
    private readonly demo: DemoPort,
    private readonly box: SecretBox,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    const { id, secret } = DEMO_KEY;
    await this.demo.once('hmac-keys', async (manager: EntityManager) => {
      await manager.insert(HmacKey, {
        id,
        userId: 'acme-machine',
        name: 'nightly import',
        sealed: this.box.seal(secret, id),
        createdAt: new Date(),
      });
    });
  }
}
