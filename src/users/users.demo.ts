import { Injectable, type OnModuleInit } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { DemoPort } from '../authentication/ports.js';
import { UserEmail } from './user-email.entity.js';
import { Tenant, User } from './user.entity.js';

/** The password of the demo's users. It is published. */
export const DEMO_PASSWORD = 'correct-horse-battery-staple';

const account = (id: string, tenantId: string, roles: User['roles'], name: string | null): Partial<User> => ({
  id,
  username: id,
  name,
  tenantId,
  roles,
  kind: name === null ? 'client' : 'user',
  disabledAt: null,
  mfaSince: null,
  epoch: 0,
});

/** The demo's accounts. The id of each is its username. Machine accounts have no display name. */
export const DEMO_USERS = [
  account('alice', 'acme', ['admin'], 'Alice Example'),
  account('bob', 'acme', ['editor'], 'Bob Example'),
  account('carol', 'acme', ['viewer'], 'Carol Example'),
  account('dave', 'acme', ['auditor'], 'Dave Example'),
  account('acme-machine', 'acme', ['editor'], null),
  account('mallory', 'globex', ['admin'], 'Mallory Example'),
  account('globex-machine', 'globex', ['editor'], null),
];

/** `alice@acme.example`: RFC 2606 reserves the domain, so no mail reaches anybody. */
export const demoEmailOf = ({ id, tenantId }: Partial<User>): string => `${id}@${tenantId}.example`;

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
    await this.demo.once('email-addresses', async (manager: EntityManager) => {
      for (const user of DEMO_USERS)
        if (user.kind === 'user')
          await manager.insert(UserEmail, {
            userId: user.id!,
            address: demoEmailOf(user),
            verifiedAt: new Date(),
          });
    });
  }
}
