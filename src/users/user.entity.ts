import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import type { Principal, Role } from '../authentication/principal.js';
import { DATE_COLUMN } from '../database/columns.js';

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

  @Column({ type: 'varchar', length: 10 })
  kind!: Principal['kind'];

  @Column({ type: 'simple-json' })
  roles!: Role[];

  /** When the account was disabled; null if it is active. */
  @Column({ type: DATE_COLUMN, nullable: true })
  disabledAt!: Date | null;

  /**
   * The generation of the account's sign-ins. Logging out everywhere or changing the password increments it, which
   * ends all sessions and tokens of the generations before.
   */
  @Column({ type: 'integer' })
  epoch!: number;
}
