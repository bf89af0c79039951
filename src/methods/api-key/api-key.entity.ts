import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { DATE_COLUMN, STRING_LIST_COLUMN } from '../../database/columns.js';
import { User } from '../../users/user.entity.js';

@Entity('api_keys')
export class ApiKey {
  /** The part of the key that is not secret. */
  @PrimaryColumn({ type: 'varchar', length: 16 })
  id!: string;

  @Index()
  @Column({ type: 'varchar', length: 36 })
  userId!: string;

  @ManyToOne(() => User, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'userId' })
  user?: User;

  @Column({ type: 'varchar', length: 100 })
  name!: string;

  /** SHA-256, hexadecimal. */
  @Column({ type: 'varchar', length: 64 })
  secretHash!: string;

  /** The secret before the last rotation, valid until `previousUntil`. */
  @Column({ type: 'varchar', length: 64, nullable: true })
  previousHash!: string | null;

  @Column({ type: DATE_COLUMN, nullable: true })
  previousUntil!: Date | null;

  /** Null: no limit but the owner's roles. */
  @Column({ ...STRING_LIST_COLUMN, nullable: true })
  scopes!: string[] | null;

  /** Addresses and CIDR ranges that the key works from; null: any. */
  @Column({ ...STRING_LIST_COLUMN, nullable: true })
  allowedIps!: string[] | null;

  /** The key that created this one; revoking it revokes this one. */
  @Index()
  @Column({ type: 'varchar', length: 16, nullable: true })
  parentId!: string | null;

  @Column({ type: DATE_COLUMN })
  createdAt!: Date;

  @Column({ type: DATE_COLUMN, nullable: true })
  expiresAt!: Date | null;

  /** To the minute. */
  @Column({ type: DATE_COLUMN, nullable: true })
  lastUsedAt!: Date | null;

  @Column({ type: DATE_COLUMN, nullable: true })
  revokedAt!: Date | null;
}
