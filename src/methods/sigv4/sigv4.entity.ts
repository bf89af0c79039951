import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { DATE_COLUMN, STRING_LIST_COLUMN } from '../../database/columns.js';
import { User } from '../../users/user.entity.js';
import type { Credential } from '../../users/credential.js';

@Entity('access_keys')
export class AccessKey implements Credential {
  /** Requests name the key by this id. It is not secret. */
  @PrimaryColumn({ type: 'varchar', length: 20 })
  id!: string;

  @Index()
  @Column({ type: 'varchar', length: 36 })
  userId!: string;

  @ManyToOne(() => User, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'userId' })
  user!: User;

  @Column({ type: 'varchar', length: 100 })
  name!: string;

  /** The encrypted secret. Verifying a signature needs the secret itself, so a hash is not enough. */
  @Column({ type: 'varchar', length: 200 })
  sealed!: string;

  /** The secret before the last rotation. It is valid until `previousUntil`. */
  @Column({ type: 'varchar', length: 200, nullable: true })
  previousSealed!: string | null;

  @Column({ type: DATE_COLUMN, nullable: true })
  previousUntil!: Date | null;

  /** Null: limited by the owner's roles only. */
  @Column({ ...STRING_LIST_COLUMN, nullable: true })
  scopes!: string[] | null;

  @Column({ type: DATE_COLUMN })
  createdAt!: Date;

  @Column({ type: DATE_COLUMN, nullable: true })
  expiresAt!: Date | null;

  /** Updated at most once a minute. */
  @Column({ type: DATE_COLUMN, nullable: true })
  lastUsedAt!: Date | null;

  @Column({ type: DATE_COLUMN, nullable: true })
  revokedAt!: Date | null;
}
