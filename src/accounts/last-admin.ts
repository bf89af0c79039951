import { ConflictException } from '@nestjs/common';
import { IsNull, Not, Raw, type EntityManager } from 'typeorm';
import { Tenant, User } from '../users/user.entity.js';

/** Concurrent changes of a tenant's administrators wait here. */
export async function lockTenant(manager: EntityManager, tenantId: string): Promise<void> {
  await manager.update(Tenant, { id: tenantId }, { id: tenantId });
}

/** Active administrators of the tenant, without this account. Call {@link lockTenant} first. */
export function otherAdmins(manager: EntityManager, { id, tenantId }: User): Promise<User[]> {
  return manager.find(User, {
    where: {
      id: Not(id),
      tenantId,
      kind: 'user',
      disabledAt: IsNull(),
      // A JSON list of names that contain no quote.
      roles: Raw((roles) => `${roles} LIKE '%"admin"%'`),
    },
    order: { username: 'ASC' },
    take: 1,
  });
}

/**
 * Rejects a change after which no active account administers the tenant. Call {@link lockTenant} first.
 * @throws ConflictException `last_admin`
 */
export async function assertNotLastAdmin(manager: EntityManager, user: User): Promise<void> {
  if (!user.roles.includes('admin') || user.disabledAt) return;
  if ((await otherAdmins(manager, user)).length) return;
  throw new ConflictException({
    code: 'last_admin',
    detail: 'This is the last administrator of the tenant. Make another account an administrator first.',
  });
}
