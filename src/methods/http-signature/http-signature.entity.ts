import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { DATE_COLUMN, STRING_LIST_COLUMN } from '../../database/columns.js';
import { User } from '../../users/user.entity.js';
import type { SignatureAlgorithm } from './http-signature.algorithms.js';

/** A public key of an account. It verifies requests after its owner has proved possession of the private key. */
@Entity('signature_keys')
export class SignatureKey {
  /** The `keyid` of the key's signatures. */
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

  /** Never changes: the strategy caches it by id. */
  @Column({ type: 'simple-json' })
  publicJwk!: Readonly<Record<string, string>>;

  /** The text to sign, to prove possession of the private key. */
  @Column({ type: 'varchar', length: 500 })
  challenge!: string;

  @Column({ type: DATE_COLUMN })
  challengeUntil!: Date;

  /** Null: not proved yet, so requests with this key are rejected. */
  @Column({ type: DATE_COLUMN, nullable: true })
  provedAt!: Date | null;

  /** Null: limited only by the owner's roles. */
  @Column({ ...STRING_LIST_COLUMN, nullable: true })
  scopes!: string[] | null;

  @Column({ type: DATE_COLUMN })
  createdAt!: Date;

  @Column({ type: DATE_COLUMN, nullable: true })
  expiresAt!: Date | null;

  /** Precise to the minute. */
  @Column({ type: DATE_COLUMN, nullable: true })
  lastUsedAt!: Date | null;

  @Column({ type: DATE_COLUMN, nullable: true })
  revokedAt!: Date | null;
}
