import type { BadCredential } from '../authentication/challenge.js';
import type { Principal, Proof } from '../authentication/principal.js';
import { nullableDateFromRow } from '../database/columns.js';
import type { User } from './user.entity.js';

/** An account as plain SQL reads it with {@link USER_COLUMNS}. */
export interface UserRow {
  readonly user_id: string;
  readonly user_tenantId: string;
  readonly user_username: string;
  readonly user_kind: User['kind'];
  readonly user_roles: string;
  readonly user_disabledAt: Date | string | null;
  readonly user_epoch: number;
}

/** The columns of `account` in a query that reads a credential and its account together. */
export const USER_COLUMNS = ['id', 'tenantId', 'username', 'kind', 'roles', 'disabledAt', 'epoch']
  .map((name) => `account."${name}" AS "user_${name}"`)
  .join(', ');

export const userFromRow = (row: UserRow): User => ({
  id: row.user_id,
  tenantId: row.user_tenantId,
  username: row.user_username,
  kind: row.user_kind,
  roles: JSON.parse(row.user_roles) as User['roles'],
  disabledAt: nullableDateFromRow(row.user_disabledAt),
  epoch: row.user_epoch,
});

/**
 * The principal of an account. Every method ends here, so every method checks whether the account is disabled.
 * @param reject makes the method's own error, so that a disabled account looks like any other invalid credential
 * @throws BadCredential if the account is disabled
 */
export function principalOf(
  user: User,
  proof: Proof,
  reject: (reason: string) => BadCredential,
  scopes?: readonly string[] | null,
): Principal {
  if (user.disabledAt) throw reject(`the account ${user.id} is disabled`).ofAccount(user);
  return {
    id: user.id,
    kind: user.kind,
    tenantId: user.tenantId,
    roles: user.roles,
    ...(scopes && { scopes }),
    proofs: [proof],
  };
}
