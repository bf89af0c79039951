import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { Settings } from '../../config/settings.js';
import { DemoData } from '../../database/demo-data.service.js';
import { accessKeyBox } from './sigv4.service.js';
import { AccessKey } from './sigv4.entity.js';

/** The machine client's access key in the demo: it reads and writes documents, and does not delete them. */
export const DEMO_KEY = { id: 'ATLADEMOOFMACHINE234', secret: 'PublishedSoNeverUsedOutsideOfTheDemo0003' };

@Injectable()
export class SigV4Demo implements OnApplicationBootstrap {
  constructor(
    private readonly demo: DemoData,
    private readonly settings: Settings,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    await this.demo.once('access-keys', async (manager) => {
      await manager.insert(AccessKey, {
        id: DEMO_KEY.id,
        userId: 'acme-machine',
        name: 'document sync',
        sealed: accessKeyBox(this.settings).seal(DEMO_KEY.secret, DEMO_KEY.id),
        previousSealed: null,
        previousUntil: null,
        scopes: ['documents:read', 'documents:write'],
        createdAt: new Date(),
        expiresAt: null,
        lastUsedAt: null,
        revokedAt: null,
      });
    });
  }
}
