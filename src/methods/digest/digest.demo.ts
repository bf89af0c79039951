import { Injectable, Optional, type OnApplicationBootstrap } from '@nestjs/common';
import { DEMO_PASSWORD, DemoData } from '../../database/demo-data.js';
import { Password } from '../../passwords/password.entity.js';
import { DigestCredentials } from './digest.credentials.service.js';
import { DigestCredential } from './digest.entity.js';

/** Enables Digest for the demo account bob. */
@Injectable()
export class DigestDemo implements OnApplicationBootstrap {
  constructor(
    private readonly demo: DemoData,
    private readonly credentials: DigestCredentials,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    await this.demo?.once('digest', async (manager) => {
      const { changedAt } = await manager.findOneByOrFail(Password, { userId: 'bob' });
      const bob = { id: 'bob', username: 'bob' };
      await manager.insert(DigestCredential, this.credentials.create(bob, DEMO_PASSWORD, changedAt));
    });
  }
}
