import type { DataSource } from 'typeorm';
import { accountOf } from '../users/change-account.js';
import { endAllSignIns } from '../users/end-sign-ins.js';
import { PasswordHashing } from './password-hashing.service.js';
import { assertAcceptablePassword, policyContextOf } from './password-policy.js';
import { Password } from './password.entity.js';
import type { AuditPort } from '../authentication/ports.js';

/**
 * Sets or replaces the password of a user account, and ends all its sign-ins. The command line uses it.
 * @throws Error with a sentence for the operator, never the password
 */
export async function setPassword(
  dataSource: DataSource,
  audit: AuditPort,
  username: string,
  password: string,
): Promise<void> {
  const user = await accountOf(dataSource.manager, username);
  const { id, kind } = user;
  if (kind !== 'user') throw new Error('Only a user account can have a password.');
  await assertAcceptablePassword(password, await policyContextOf(dataSource.manager, user));
  const hash = await new PasswordHashing().hash(password);
  await dataSource.transaction(async (manager) => {
    await manager.upsert(Password, { userId: id, hash, changedAt: new Date() }, ['userId']);
    await endAllSignIns(manager, id);
    await audit.append(manager, { event: 'authn_password_change', target: `user:${id}` });
  });
}
