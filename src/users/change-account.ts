import type { DataSource, EntityManager } from 'typeorm';
import type { Principal, Role } from '../authentication/principal.js';
import type { AuditPort } from '../authentication/ports.js';
import { checkedDisplayName } from './display-name.js';
import { endAllSignIns } from './end-sign-ins.js';
import { User } from './user.entity.js';
import { normalizeUsername } from './username.js';

/** @throws Error with a message for the user, if no account has the name */
export async function accountOf(manager: EntityManager, username: string): Promise<User> {
  const user = await manager.findOneBy(User, { username: normalizeUsername(username) ?? '' });
  if (!user) throw new Error('No account has this username.');
  return user;
}

/**
 * Disables or enables an account from the next request on. Disabling ends its sessions and tokens; its other credentials
 * are valid again once the account is enabled.
 *
 * @throws Error with a message for the user, if there is no such account
 */
export async function disableAccount(
  dataSource: DataSource,
  log: AuditPort,
  username: string,
  disabled: boolean,
): Promise<void> {
  await dataSource.transaction(async (manager) => {
    await setDisabled(manager, log, await accountOf(manager, username), disabled);
  });
}

/** Like {@link disableAccount}, in the caller's transaction. @param actor absent on the command line */
export async function setDisabled(
  manager: EntityManager,
  log: AuditPort,
  user: User,
  disabled: boolean,
  actor?: Principal,
): Promise<User> {
  const { id } = user;
  const disabledAt = disabled ? new Date() : null;
  await manager.update(User, { id }, { disabledAt });
  if (disabled) await endAllSignIns(manager, id);
  await log.append(manager, {
    event: 'sensitive_update',
    actor,
    target: `user:${id}`,
    details: { disabled },
  });
  return { ...user, disabledAt };
}

/**
 * Replaces the account's display name.
 * @param name empty: the account has none afterwards
 * @throws Error with a sentence for the operator
 */
export async function changeName(
  dataSource: DataSource,
  log: AuditPort,
  username: string,
  name: string,
): Promise<void> {
  const checked = name ? checkedDisplayName(name) : null;
  await dataSource.transaction(async (manager) => {
    const { id } = await accountOf(manager, username);
    await manager.update(User, { id }, { name: checked });
    await log.append(manager, {
      event: 'sensitive_update',
      target: `user:${id}`,
      details: { field: 'name' },
    });
  });
}

/**
 * Replaces the account's roles, from the next request on.
 * @throws Error with a sentence, where there is no such account
 */
export async function changeRoles(
  dataSource: DataSource,
  log: AuditPort,
  username: string,
  roles: readonly Role[],
): Promise<void> {
  await dataSource.transaction(async (manager) => {
    await setRoles(manager, log, await accountOf(manager, username), roles);
  });
}

/** Like {@link changeRoles}, in the caller's transaction. @param actor absent on the command line */
export async function setRoles(
  manager: EntityManager,
  log: AuditPort,
  user: User,
  roles: readonly Role[],
  actor?: Principal,
): Promise<User> {
  const { id } = user;
  const changed = [...new Set(roles)];
  await manager.update(User, { id }, { roles: changed });
  await log.append(manager, {
    event: 'authz_change',
    actor,
    target: `user:${id}`,
    details: { roles: [...roles] },
  });
  return { ...user, roles: changed };
}
