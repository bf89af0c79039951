import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { AuditPort } from '../authentication/ports.js';
import { assertMayManageCredentials, type Principal } from '../authentication/principal.js';
import { UserEmail } from '../users/user-email.entity.js';
import { User } from '../users/user.entity.js';

/** An account as its holder sees it. */
export interface Profile extends Pick<User, 'id' | 'username' | 'name' | 'tenantId' | 'roles'> {
  readonly email: string | null;
  readonly emailVerified: boolean;
}

/** The caller's own account. */
@Injectable()
export class ProfileService {
  constructor(
    private readonly dataSource: DataSource,
    private readonly audit: AuditPort,
  ) {}

  /** @throws ForbiddenException `limited_credential` */
  async find(caller: Principal): Promise<Profile> {
    assertMayManageCredentials(caller);
    const { manager } = this.dataSource;
    const user = await manager.findOneByOrFail(User, { id: caller.id });
    const email = await manager.findOneBy(UserEmail, { userId: caller.id });
    return { ...user, email: email?.address ?? null, emailVerified: Boolean(email?.verifiedAt) };
  }

  /**
   * @param name normalized; null: the account has none afterwards
   * @throws ForbiddenException `limited_credential`
   */
  async changeName(caller: Principal, name: string | null): Promise<Profile> {
    assertMayManageCredentials(caller);
    await this.dataSource.transaction(async (manager) => {
      await manager.update(User, { id: caller.id }, { name });
      await this.audit.append(manager, {
        event: 'sensitive_update',
        actor: caller,
        target: `user:${caller.id}`,
        details: { field: 'name' },
      });
    });
    return this.find(caller);
  }
}
