import { randomUUID } from 'node:crypto';
import type { DataSource } from 'typeorm';
import type { Role } from '../authentication/principal.js';
import type { AuditPort } from '../authentication/ports.js';
import { Tenant, User } from '../users/user.entity.js';
import { normalizeUsername } from '../users/username.js';
import { PasswordHashing } from './password-hashing.service.js';
import { assertAcceptablePassword } from './password-policy.js';
import { Password } from './password.entity.js';

export interface NewAccount {
  readonly tenant: string;
  readonly username: string;
  readonly roles: readonly Role[];
  readonly password: string;
}

/**
 * Creates a user account with a password, and its tenant if it does not exist. The command line uses it, for example
 * for the first account of an empty database.
 *
 * @returns the account's id
 * @throws Error with a sentence for the operator, never the password
 */
export async function addAccount(
  dataSource: DataSource,
  audit: AuditPort,
  { tenant, username, roles, password }: NewAccount,
): Promise<string> {
  const name = normalizeUsername(username);
  if (!name)
    throw new Error('A username has 1 to 64 ASCII letters, digits and ._@-, and ends in a letter or digit.');
  if (!/^[a-z0-9][a-z0-9-]{0,35}$/.test(tenant))
    throw new Error('A tenant has 1 to 36 lower-case letters, digits and hyphens.');
  assertAcceptablePassword(password, name);

  const hash = await new PasswordHashing().hash(password);
  const id = randomUUID();
  await dataSource.transaction(async (manager) => {
    if (await manager.existsBy(User, { username: name }))
      throw new Error('An account with this username exists.');
    await manager
      .createQueryBuilder()
      .insert()
      .into(Tenant)
      .values({ id: tenant, name: tenant })
      .orIgnore()
      .execute();
    await manager.insert(User, {
      id,
      tenantId: tenant,
      username: name,
      kind: 'user',
      roles: [...new Set(roles)],
      disabledAt: null,
      epoch: 0,
    });
    await manager.insert(Password, { userId: id, hash, changedAt: new Date() });
    await audit.append(manager, {
      event: 'sensitive_create',
      target: `user:${id}`,
      details: { tenant, roles: [...roles] },
    });
  });
  return id;
}
