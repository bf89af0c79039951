import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { DemoPort } from '../authentication/ports.js';
import { DEMO_PASSWORD, DEMO_USERS } from '../users/users.demo.js';
import { PasswordHashing } from './password-hashing.service.js';
import { Password } from './password.entity.js';

/** Sets the published demo password for the demo users, not for the machine clients. */
@Injectable()
export class PasswordsDemo implements OnApplicationBootstrap {
  constructor(
    private readonly demo: DemoPort,
    private readonly hashing: PasswordHashing,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    await this.demo.once('passwords', async (manager: EntityManager) => {
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
