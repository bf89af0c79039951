import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { Demo, DEMO_PASSWORD } from '../database/index.js';
import { DEMO_USERS } from '../users/index.js';
import { Hashing } from './hashing.js';
import { Password } from './password.entity.js';

/** Gives the demo's people, not its machines, their published password. */
@Injectable()
export class PasswordsDemo implements OnApplicationBootstrap {
  constructor(
    private readonly demo: Demo,
    private readonly hashing: Hashing,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    await this.demo.once('passwords', async (manager) => {
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
