import { Column, Entity, Index, JoinColumn, ManyToOne, OneToOne, PrimaryColumn } from 'typeorm';
import { DATE_COLUMN, STRING_LIST_COLUMN } from '../../database/columns.js';
import { User } from '../../users/user.entity.js';

@Entity('passkeys')
export class Passkey {
  @PrimaryColumn({ type: 'varchar', length: 36 })
  id!: string;

  @Index()
  @Column({ type: 'varchar', length: 36 })
  userId!: string;

  @ManyToOne(() => User, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'userId' })
  user?: User;

  /** Chosen by the authenticator, in base64url. */
  @Index({ unique: true })
  @Column({ type: 'varchar', length: 1364 })
  credentialId!: string;

  /** COSE_Key in base64url. */
  @Column({ type: 'text' })
  publicKey!: string;

  /** COSE algorithm: -7 is ES256, -8 EdDSA, -257 RS256. */
  @Column({ type: 'integer' })
  algorithm!: number;

  /** The signature counter of the last use, 0 if the authenticator has none. Only SQL compares it: pg reads a bigint as text. */
  @Column({ type: 'bigint' })
  counter!: number | string;

  /** How the browser reached the authenticator: a hint for the next request. */
  @Column(STRING_LIST_COLUMN)
  transports!: string[];

  /** Whether the authenticator may copy the key to other devices. */
  @Column({ type: 'boolean' })
  backupEligible!: boolean;

  /** Whether a copy existed at the last use. */
  @Column({ type: 'boolean' })
  backedUp!: boolean;

  /** The kind of authenticator. Trustworthy only if the attestation is required. */
  @Column({ type: 'varchar', length: 36 })
  aaguid!: string;

  /** Chosen by the owner. */
  @Column({ type: 'varchar', length: 100 })
  name!: string;

  @Column({ type: DATE_COLUMN })
  createdAt!: Date;

  @Column({ type: DATE_COLUMN, nullable: true })
  lastUsedAt!: Date | null;
}

/**
 * The name of an account at authenticators: random, because authenticators show it without user verification (section 14.6.1). It
 * outlives the passkeys, so that an authenticator replaces the passkey of the same account.
 */
@Entity('passkey_user_handles')
export class PasskeyUserHandle {
  @PrimaryColumn({ type: 'varchar', length: 36 })
  userId!: string;

  @OneToOne(() => User, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'userId' })
  user?: User;

  /** 64 bytes in base64url. */
  @Column({ type: 'varchar', length: 86 })
  handle!: string;
}
