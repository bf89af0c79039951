import { nullableDateFromRow } from '../database/raw-dates.js';
import type { User } from './user.entity.js';

/** What plain SQL reads of an account by {@link USER_COLUMNS}. */
export interface UserRow {
  readonly user_id: string;
  readonly user_tenantId: string;
  readonly user_username: string;
  readonly user_kind: User['kind'];
  readonly user_roles: string;
  readonly user_disabledAt: Date | string | null;
  readonly user_epoch: number;
}

/** For a SQL text that joins `users account`: the account in the same row as the credential, in one query. */
export const USER_COLUMNS = [
  `account.id AS "user_id"`,
  ...['tenantId', 'username', 'kind', 'roles', 'disabledAt', 'epoch'].map(
    (name) => `account."${name}" AS "user_${name}"`,
  ),
].join(', ');

/** The account in a row that was read with {@link USER_COLUMNS}. */
export const userFromRow = (row: UserRow): User => ({
  id: row.user_id,
  tenantId: row.user_tenantId,
  username: row.user_username,
  kind: row.user_kind,
  roles: JSON.parse(row.user_roles) as User['roles'],
  disabledAt: nullableDateFromRow(row.user_disabledAt),
  epoch: row.user_epoch,
});
