import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { DATE_COLUMN } from '../../database/columns.js';
import { User } from '../../users/user.entity.js';
import type { SignatureAlgorithm } from './http-signature.algorithms.js';

/** A public key that signs an account's requests once its owner has proved to have the private one. */
@Entity('signature_keys')
export class SignatureKey {
  /** The `keyid` of its signatures. */
  @PrimaryColumn({ type: 'varchar', length: 36 })
  id!: string;

  @Index()
  @Column({ type: 'varchar', length: 36 })
  userId!: string;

  @ManyToOne(() => User, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'userId' })
  user!: User;

  @Column({ type: 'varchar', length: 100 })
  name!: string;

  @Column({ type: 'varchar', length: 32 })
  algorithm!: SignatureAlgorithm;

  /** Never another one under the same id: the server remembers it. */
  @Column({ type: 'simple-json' })
  publicJwk!: Readonly<Record<string, string>>;

  /** The text whose signature proves that the owner has the private key. */
  @Column({ type: 'varchar', length: 500 })
  challenge!: string;

  @Column({ type: DATE_COLUMN })
  challengeUntil!: Date;

  /** Null: it signs nothing yet. */
  @Column({ type: DATE_COLUMN, nullable: true })
  provedAt!: Date | null;

  /** Null: no ceiling but the owner's roles. */
  @Column({ type: 'simple-json', nullable: true })
  scopes!: string[] | null;

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
