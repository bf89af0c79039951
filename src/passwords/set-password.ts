import type { DataSource } from 'typeorm';
import type { AuditLog } from '../audit/index.js';
import { accountOf, endAllSignIns } from '../users/index.js';
import { Hashing } from './hashing.js';
import { assertFit } from './password-policy.js';
import { Password } from './password.entity.js';

/**
 * A password in the place of one that was forgotten, or was never there. Every sign-in of the account ends.
 * @throws Error with a sentence that says what is wrong, and never the password
 */
export async function setPassword(
  dataSource: DataSource,
  log: AuditLog,
  username: string,
  password: string,
): Promise<void> {
  assertFit(password, username);
  const hash = await new Hashing().hash(password);
  await dataSource.transaction(async (manager) => {
    const { id, kind } = await accountOf(manager, username);
    if (kind !== 'user') throw new Error('Only a person has a password: give a machine a key.');
    await manager.upsert(Password, { userId: id, hash, changedAt: new Date() }, ['userId']);
    await endAllSignIns(manager, id);
    await log.append(manager, { event: 'authn_password_change', target: `user:${id}` });
  });
}
