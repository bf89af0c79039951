import { Injectable, type OnModuleInit } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { DemoPort } from '../authentication/ports.js';
import { Tenant, User } from './user.entity.js';

/** The password of the demo's users. It is published. */
export const DEMO_PASSWORD = 'correct-horse-battery-staple';

const account = (
  id: string,
  tenantId: string,
  roles: User['roles'],
  kind: User['kind'] = 'user',
): Partial<User> => ({ id, username: id, tenantId, roles, kind, disabledAt: null, epoch: 0 });

/** The demo's accounts. The id of each is its username. */
export const DEMO_USERS = [
  account('alice', 'acme', ['admin']),
  account('bob', 'acme', ['editor']),
  account('carol', 'acme', ['viewer']),
  account('dave', 'acme', ['auditor']),
  account('acme-machine', 'acme', ['editor'], 'client'),
  account('mallory', 'globex', ['admin']),
  account('globex-machine', 'globex', ['editor'], 'client'),
];

@Injectable()
export class UsersDemo implements OnModuleInit {
  constructor(private readonly demo: DemoPort) {}

  async onModuleInit(): Promise<void> {
    await this.demo.once('users', async (manager: EntityManager) => {
      if ((await manager.exists(User)) || (await manager.exists(Tenant))) return false;
      await manager.insert(Tenant, [
        { id: 'acme', name: 'Acme' },
        { id: 'globex', name: 'Globex' },
      ]);
      await manager.insert(User, DEMO_USERS);
      return undefined;
    });
  }
}
