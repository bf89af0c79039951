import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { DEMO_PASSWORD, DemoData } from '../../database/demo-data.service.js';
import { Password } from '../../passwords/password.entity.js';
import { DigestCredential } from './digest.entity.js';
import { DigestSecrets } from './digest.secrets.js';

/** Bob signs in by Digest in the demo. */
@Injectable()
export class DigestDemo implements OnApplicationBootstrap {
  constructor(
    private readonly demo: DemoData,
    private readonly secrets: DigestSecrets,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    await this.demo.once('digest', async (manager) => {
      const { changedAt } = await manager.findOneByOrFail(Password, { userId: 'bob' });
      const bob = { id: 'bob', username: 'bob' };
      await manager.insert(DigestCredential, this.secrets.make(bob, DEMO_PASSWORD, changedAt));
    });
  }
}
