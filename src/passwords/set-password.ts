import type { DataSource } from 'typeorm';
import { accountOf } from '../users/change-account.js';
import { endAllSignIns } from '../users/end-sign-ins.js';
import { PasswordHashing } from './password-hashing.service.js';
import { assertAcceptablePassword } from './password-policy.js';
import { Password } from './password.entity.js';
import type { AuditPort } from '../authentication/ports.js';

/**
 * A password in the place of one that was forgotten, or was never there. Every sign-in of the account ends.
 * @throws Error with a sentence that says what is wrong, and never the password
 */
export async function setPassword(
  dataSource: DataSource,
  log: AuditPort,
  username: string,
  password: string,
): Promise<void> {
  assertAcceptablePassword(password, username);
  const hash = await new PasswordHashing().hash(password);
  await dataSource.transaction(async (manager) => {
    const { id, kind } = await accountOf(manager, username);
    if (kind !== 'user') throw new Error('Only a user account can have a password.');
    await manager.upsert(Password, { userId: id, hash, changedAt: new Date() }, ['userId']);
    await endAllSignIns(manager, id);
    await log.append(manager, { event: 'authn_password_change', target: `user:${id}` });
  });
}
