import { Injectable, Optional, type OnModuleInit } from '@nestjs/common';
import { DemoData } from '../database/demo-data.js';
import { Tenant, User } from './user.entity.js';

const account = (
  id: string,
  tenantId: string,
  roles: User['roles'],
  kind: User['kind'] = 'user',
): Partial<User> => ({ id, username: id, tenantId, roles, kind, disabledAt: null, epoch: 0 });

/** The demo's accounts; each one's id is its username. */
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
  constructor(@Optional() private readonly demo: DemoData | undefined) {}

  async onModuleInit(): Promise<void> {
    await this.demo?.once('users', async (manager) => {
      await manager.insert(Tenant, [
        { id: 'acme', name: 'Acme' },
        { id: 'globex', name: 'Globex' },
      ]);
      await manager.insert(User, DEMO_USERS);
    });
  }
}
