import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import type { Principal, Role } from '../authentication/principal.js';
import { DATE_COLUMN } from '../database/columns.js';

/** An organisation whose data no other organisation sees. */
@Entity('tenants')
export class Tenant {
  @PrimaryColumn({ type: 'varchar', length: 36 })
  id!: string;

  @Column({ type: 'varchar', length: 100 })
  name!: string;
}

/**
 * The account that every credential points at: a person or a machine. It holds no secret and knows no credential,
 * so a method can come and go without this table changing.
 */
@Entity('users')
export class User {
  @PrimaryColumn({ type: 'varchar', length: 36 })
  id!: string;

  @Column({ type: 'varchar', length: 36 })
  tenantId!: string;

  @ManyToOne(() => Tenant)
  @JoinColumn({ name: 'tenantId' })
  tenant?: Tenant;

  /** Unique over all tenants; see {@link normalizeUsername} for its one spelling. */
  @Index({ unique: true })
  @Column({ type: 'varchar', length: 64 })
  username!: string;

  @Column({ type: 'varchar', length: 10 })
  kind!: Principal['kind'];

  @Column({ type: 'simple-json' })
  roles!: Role[];

  /** Since when the account may not be used; null where it may. */
  @Column({ type: DATE_COLUMN, nullable: true })
  disabledAt!: Date | null;

  /**
   * How often all sign-ins of the account were ended: by "log out everywhere", by a new password. A session or a
   * token keeps the number it was made under, and is dead once this one is higher.
   */
  @Column({ type: 'integer' })
  epoch!: number;
}
