import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { SecretBox } from '../../crypto/secret-box.js';
import { DemoPort } from '../../authentication/ports.js';
import { AccessKey } from './sigv4.entity.js';

/** The demo access key of the machine account. It may read and write documents, but not delete them. */
export const DEMO_KEY = { id: 'ATLADEMOOFMACHINE234', secret: 'PublishedSoNeverUsedOutsideOfTheDemo0003' };

@Injectable()
export class SigV4Demo implements OnApplicationBootstrap {
  constructor(
    private readonly demo: DemoPort,
    private readonly box: SecretBox,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    const { id, secret } = DEMO_KEY;
    await this.demo.once('access-keys', async (manager: EntityManager) => {
      await manager.insert(AccessKey, {
        id,
        userId: 'acme-machine',
        name: 'document sync',
        sealed: this.box.seal(secret, id),
        scopes: ['documents:read', 'documents:write'],
        createdAt: new Date(),
      });
    });
  }
}
