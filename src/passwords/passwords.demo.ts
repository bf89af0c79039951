import { Injectable, Optional, type OnApplicationBootstrap } from '@nestjs/common';
import { DemoData, DEMO_PASSWORD } from '../database/demo-data.js';
import { DEMO_USERS } from '../users/users.demo.js';
import { PasswordHashing } from './password-hashing.service.js';
import { Password } from './password.entity.js';

/** Sets the published demo password for the demo users, not for the machine clients. */
@Injectable()
export class PasswordsDemo implements OnApplicationBootstrap {
  constructor(
    @Optional() private readonly demo: DemoData | undefined,
    private readonly hashing: PasswordHashing,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    await this.demo?.once('passwords', async (manager) => {
      for (const { id, kind } of DEMO_USERS)
        if (kind === 'user')
          await manager.insert(Password, {
            userId: id!,
            hash: await this.hashing.hash(DEMO_PASSWORD),
            changedAt: new Date(),
          });
    });
  }
}
