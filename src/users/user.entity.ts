import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn, type EntityManager } from 'typeorm';
import type { BadCredential } from '../authentication/challenge.js';
import { provesSecondFactor } from '../authentication/factors.js';
import type { Principal, Proof, Role } from '../authentication/principal.js';
import {
  DATE_COLUMN,
  STRING_LIST_COLUMN,
  UnreadableValue,
  integerFromRow,
  nullableDateFromRow,
  stringsFromRow,
} from '../database/columns.js';
// Declares the names of the roles.
import '../permissions.js';

/** The table that credentials refer to. */
export const USERS_TABLE = 'users';

/** An organisation. Its data is visible to its own accounts only. */
@Entity('tenants')
export class Tenant {
  @PrimaryColumn({ type: 'varchar', length: 36 })
  id!: string;

  @Column({ type: 'varchar', length: 100 })
  name!: string;
}

/**
 * The account that every credential refers to: a person or a machine. It has no secret and no credential columns, so
 * adding or removing a method does not change this table.
 */
@Entity(USERS_TABLE)
export class User {
  @PrimaryColumn({ type: 'varchar', length: 36 })
  id!: string;

  @Column({ type: 'varchar', length: 36 })
  tenantId!: string;

  @ManyToOne(() => Tenant)
  @JoinColumn({ name: 'tenantId' })
  tenant?: Tenant;

  /** Unique over all tenants, in the form of {@link normalizeUsername}. */
  @Index({ unique: true })
  @Column({ type: 'varchar', length: 64 })
  username!: string;

  /** The display name, in the form of {@link normalizeDisplayName}; null if the account has none. */
  @Column({ type: 'varchar', length: 100, nullable: true })
  name!: string | null;

  @Column({ type: 'varchar', length: 10 })
  kind!: Principal['kind'];

  @Column(STRING_LIST_COLUMN)
  roles!: Role[];

  /** When the account was disabled; null if it is active. */
  @Column({ type: DATE_COLUMN, nullable: true })
  disabledAt!: Date | null;

  /** When the account got its first second factor; null if a sign-in needs none. */
  @Column({ type: DATE_COLUMN, nullable: true })
  mfaSince!: Date | null;

  /**
   * The generation of the account's sign-ins. Logging out everywhere or changing the password increments it, which
   * ends all sessions and tokens of the generations before.
   */
  @Column({ type: 'integer' })
  epoch!: number;
}

/** An account as plain SQL reads it with {@link USER_COLUMNS}. */
export interface UserRow {
  readonly user_id: string;
  readonly user_tenantId: string;
  readonly user_username: string;
  readonly user_name: string | null;
  readonly user_kind: User['kind'];
  readonly user_roles: string;
  readonly user_disabledAt: Date | string | null;
  readonly user_mfaSince: Date | string | null;
  readonly user_epoch: number;
}

/** The columns of `account` in a query that reads a credential and its account together. */
export const USER_COLUMNS = [
  ...['id', 'tenantId', 'username', 'name', 'kind', 'roles'],
  ...['disabledAt', 'mfaSince', 'epoch'],
]
  .map((name) => `account."${name}" AS "user_${name}"`)
  .join(', ');

/** @throws UnreadableValue */
export const userFromRow = (row: UserRow): User => ({
  id: row.user_id,
  tenantId: row.user_tenantId,
  username: row.user_username,
  name: row.user_name,
  kind: row.user_kind,
  roles: stringsFromRow(row.user_roles) as Role[],
  disabledAt: nullableDateFromRow(row.user_disabledAt),
  mfaSince: nullableDateFromRow(row.user_mfaSince),
  epoch: integerFromRow(row.user_epoch),
});

/**
 * The principal of an account. Every method ends here, so every method rejects a disabled account, and a sign-in that lacks the
 * account's second factor.
 * @param reject makes the method's own error, so that a disabled account looks like any other invalid credential
 * @throws BadCredential if the account is disabled, or the sign-in lacks its second factor
 * @throws UnreadableValue if its kind is unknown
 */
export function principalOf(
  user: User,
  proof: Proof,
  reject: (reason: string) => BadCredential,
  scopes?: readonly string[] | null,
): Principal {
  if (user.kind !== 'user' && user.kind !== 'client') throw new UnreadableValue('a kind of account');
  if (user.disabledAt) throw reject(`the account ${user.id} is disabled`).ofAccount(user);
  if (proof.signIn && needsSecondFactor(user, proof))
    throw reject(`the account ${user.id} has a second factor`).ofAccount(user);
  return {
    id: user.id,
    kind: user.kind,
    tenantId: user.tenantId,
    roles: user.roles,
    ...(scopes && { scopes }),
    proofs: [proof],
  };
}

/** Whether a sign-in must be completed by a second factor of the account. */
export const needsSecondFactor = ({ mfaSince }: User, { amr }: Pick<Proof, 'amr'>): boolean =>
  mfaSince !== null && !provesSecondFactor(amr);

/**
 * Makes other transactions that change the account wait until this one ends. Call it first.
 * An update locks the row on both databases; SQLite has no SELECT … FOR UPDATE.
 */
export async function lockAccount(manager: EntityManager, id: string): Promise<void> {
  await manager.update(User, { id }, { id });
}
