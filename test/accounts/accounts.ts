import { randomBytes } from 'node:crypto';
import type { DataSource } from 'typeorm';
import type { Principal, Role } from '../../src/authentication/principal.js';
import { Password } from '../../src/passwords/password.entity.js';
import { UserEmail } from '../../src/users/user-email.entity.js';
import { User } from '../../src/users/user.entity.js';
import { as, client, type Booted, type TestResponse } from '../support/app.js';

export const INVALID = [400, 'invalid_mailed_token'];
export const codeOf = ({ status, body }: TestResponse) => [status, body.code];

/** An account of one test. Its id, its username and its mailbox have the same name; its password is the demo's. */
export async function newAccount(
  db: DataSource,
  { tenantId = 'acme', roles = ['viewer'] as Role[] } = {},
): Promise<{ id: string; address: string }> {
  const id = `user-${randomBytes(4).toString('hex')}`;
  const address = `${id}@${tenantId}.example`;
  await db.manager.insert(User, {
    ...{ id, username: id, tenantId, kind: 'user', roles },
    ...{ name: null, disabledAt: null, mfaSince: null, epoch: 0 },
  });
  await db.manager.insert(UserEmail, { userId: id, address, verifiedAt: new Date() });
  const { hash } = await db.manager.findOneByOrFail(Password, { userId: 'bob' });
  await db.manager.insert(Password, { userId: id, hash, changedAt: new Date() });
  return { id, address };
}

/** A client that has just signed in as the account. */
export const signedInAs = ({ origin }: Booted, id: string, more: Partial<Principal> = {}) =>
  client(origin, as({ id, ...more }));

/** The parts of a response that reveal something: all but the time and the id of the request. */
export function visible({ status, body, headers }: TestResponse) {
  const { date: _, 'x-request-id': __, ...others } = Object.fromEntries(headers);
  return { status, body, others };
}
