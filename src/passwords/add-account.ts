import type { DataSource } from 'typeorm';
import type { Role } from '../authentication/principal.js';
import type { AuditPort } from '../authentication/ports.js';
import { normalizeEmailAddress } from '../users/email-address.js';
import { UserEmail } from '../users/user-email.entity.js';
import { checkedAccount, insertAccount } from '../users/new-account.js';
import { PasswordHashing } from './password-hashing.service.js';
import { assertAcceptablePassword } from './password-policy.js';
import { Password } from './password.entity.js';

export interface NewAccount {
  readonly tenant: string;
  readonly username: string;
  /** The display name. */
  readonly name?: string | undefined;
  /** An e-mail address that the operator has verified. */
  readonly email?: string | undefined;
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
  { password, email, ...requested }: NewAccount,
): Promise<string> {
  const account = checkedAccount({ ...requested, kind: 'user' });
  const { tenant, username, roles } = account;
  const address = email === undefined ? undefined : normalizeEmailAddress(email);
  if (email !== undefined && !address) throw new Error('This is not an e-mail address that is accepted.');
  await assertAcceptablePassword(password, { username, email: address, onlyFactor: true });
  const hash = await new PasswordHashing().hash(password);
  return dataSource.transaction(async (manager) => {
    const user = await insertAccount(manager, account);
    if (!user) throw new Error('An account with this username exists.');
    if (address && (await manager.existsBy(UserEmail, { address })))
      throw new Error('Another account has this e-mail address.');
    if (address) await manager.insert(UserEmail, { userId: user.id, address, verifiedAt: new Date() });
    await manager.insert(Password, { userId: user.id, hash, changedAt: new Date() });
    await audit.append(manager, {
      event: 'sensitive_create',
      target: `user:${user.id}`,
      details: { tenant, roles },
    });
    return user.id;
  });
}
