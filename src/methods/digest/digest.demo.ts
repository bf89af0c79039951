import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { DemoPort } from '../../authentication/ports.js';
import { DEMO_PASSWORD } from '../../users/users.demo.js';
import { Password } from '../../passwords/password.entity.js';
import { DigestCredentials } from './digest.credentials.service.js';
import { DigestCredential } from './digest.entity.js';

/** Enables Digest for the demo account bob. */
@Injectable()
export class DigestDemo implements OnApplicationBootstrap {
  constructor(
    private readonly demo: DemoPort,
    private readonly credentials: DigestCredentials,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    await this.demo.once('digest', async (manager: EntityManager) => {
      const { changedAt } = await manager.findOneByOrFail(Password, { userId: 'bob' });
      const bob = { id: 'bob', username: 'bob' };
      await manager.insert(DigestCredential, this.credentials.create(bob, DEMO_PASSWORD, changedAt));
    });
  }
}
