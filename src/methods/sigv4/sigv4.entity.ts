import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { DATE_COLUMN } from '../../database/columns.js';
import { User } from '../../users/user.entity.js';
import type { Credential } from '../../users/credential.js';

@Entity('access_keys')
export class AccessKey implements Credential {
  /** What requests name it by: no secret. */
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

  /** The secret, sealed: a signature can only be checked by making it again, so a hash would not do. */
  @Column({ type: 'varchar', length: 200 })
  sealed!: string;

  /** The secret before the last rotation, good until `previousUntil`. */
  @Column({ type: 'varchar', length: 200, nullable: true })
  previousSealed!: string | null;

  @Column({ type: DATE_COLUMN, nullable: true })
  previousUntil!: Date | null;

  @Column({ type: 'simple-json', nullable: true })
  scopes!: string[] | null;

  @Column({ type: DATE_COLUMN })
  createdAt!: Date;

  @Column({ type: DATE_COLUMN, nullable: true })
  expiresAt!: Date | null;

  @Column({ type: DATE_COLUMN, nullable: true })
  lastUsedAt!: Date | null;

  @Column({ type: DATE_COLUMN, nullable: true })
  revokedAt!: Date | null;
}
