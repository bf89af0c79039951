import { randomUUID } from 'node:crypto';
import type { DataSource, EntityManager, QueryDeepPartialEntity } from 'typeorm';
import type { AuditPort } from '../authentication/ports.js';
import type { Principal, Role } from '../authentication/principal.js';
import { checkedDisplayName } from './display-name.js';
import { Tenant, User } from './user.entity.js';
import { normalizeUsername } from './username.js';

export interface NewAccount {
  readonly tenant: string;
  readonly username: string;
  readonly name?: string | undefined;
  readonly kind: User['kind'];
  readonly roles: readonly Role[];
}

/**
 * The values of a new account, in their canonical form.
 * @throws Error with a sentence for the operator
 */
export function checkedAccount(account: NewAccount): NewAccount {
  const username = normalizeUsername(account.username);
  if (!username)
    throw new Error('A username has 1 to 64 ASCII letters, digits and ._@-, and ends in a letter or digit.');
  if (!/^[a-z0-9][a-z0-9-]{0,35}$/.test(account.tenant))
    throw new Error('A tenant has 1 to 36 lower-case letters, digits and hyphens.');
  const name = account.name === undefined ? undefined : checkedDisplayName(account.name);
  return { ...account, username, name, roles: [...new Set(account.roles)] };
}

/**
 * Inserts an account, and its tenant if it does not exist.
 * @param account of {@link checkedAccount}
 * @returns the account; undefined if the username is taken
 */
export async function insertAccount(
  manager: EntityManager,
  { tenant, username, name, kind, roles }: NewAccount,
): Promise<User | undefined> {
  const insert = <T extends Tenant | User>(entity: new () => T, row: QueryDeepPartialEntity<T>) =>
    manager.createQueryBuilder().insert().into(entity).values(row).orIgnore().execute();
  const user: User = {
    id: randomUUID(),
    tenantId: tenant,
    username,
    name: name ?? null,
    kind,
    roles: [...roles],
    disabledAt: null,
    mfaSince: null,
    epoch: 0,
  };
  await insert(Tenant, { id: tenant, name: tenant });
  await insert(User, user);
  return (await manager.existsBy(User, { id: user.id })) ? user : undefined;
}

/**
 * Creates a machine account, which has no password: its credentials are issued afterwards.
 * @param actor absent on the command line
 * @returns the account; undefined if the username is taken
 * @throws Error with a sentence for the operator
 */
export async function addMachineAccount(
  dataSource: DataSource,
  audit: AuditPort,
  requested: Omit<NewAccount, 'kind'>,
  actor?: Principal,
): Promise<User | undefined> {
  const account = checkedAccount({ ...requested, kind: 'client' });
  const { tenant, kind, roles } = account;
  return dataSource.transaction(async (manager) => {
    const user = await insertAccount(manager, account);
    if (!user) return undefined;
    const target = `user:${user.id}`;
    await audit.append(manager, {
      event: 'sensitive_create',
      actor,
      target,
      details: { tenant, kind, roles },
    });
    return user;
  });
}
