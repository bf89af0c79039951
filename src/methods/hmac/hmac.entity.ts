import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { DATE_COLUMN, STRING_LIST_COLUMN } from '../../database/columns.js';
import { User } from '../../users/user.entity.js';

@Entity('hmac_keys')
export class HmacKey {
  @PrimaryColumn({ type: 'varchar', length: 16 })
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
  @Column({ type: 'text' })
  sealed!: string;

  /** The secret before the last rotation. It is valid until `previousUntil`. */
  @Column({ type: 'text', nullable: true })
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
