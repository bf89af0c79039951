import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { DATE_COLUMN } from '../database/columns.js';
import { User } from '../users/user.entity.js';

/** What the engine keeps: sessions, consents, codes, refresh tokens and whatever else has an end. */
@Entity('oauth_records')
export class OauthRecord {
  /** SHA-256 of its kind and its own id, in base64url: most ids are secrets. */
  @PrimaryColumn({ type: 'varchar', length: 43 })
  id!: string;

  /** The engine's name of it: `RefreshToken`. */
  @Column({ type: 'varchar', length: 40 })
  kind!: string;

  @Index()
  @Column({ type: 'varchar', length: 36, nullable: true })
  accountId!: string | null;

  @ManyToOne(() => User, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'accountId' })
  account?: User;

  /** The account's, when it signed in or consented: "log out everywhere" ends this too. */
  @Column({ type: 'integer', nullable: true })
  epoch!: number | null;

  @Index()
  @Column({ type: 'varchar', length: 255, nullable: true })
  clientId!: string | null;

  /** The consent that it came of, and ends with. */
  @Index()
  @Column({ type: 'varchar', length: 43, nullable: true })
  grantId!: string | null;

  /** A second name: a session's, or the digest of a code that a person types in. */
  @Index()
  @Column({ type: 'varchar', length: 64, nullable: true })
  alias!: string | null;

  /** All that the engine says of it, in the secret box. */
  @Column({ type: 'text' })
  sealed!: string;

  /** A code or a refresh token is used up once. */
  @Column({ type: DATE_COLUMN, nullable: true })
  consumedAt!: Date | null;

  /** When it was last asked for, of what is polled for. */
  @Column({ type: DATE_COLUMN, nullable: true })
  polledAt!: Date | null;

  @Index()
  @Column({ type: DATE_COLUMN, nullable: true })
  expiresAt!: Date | null;
}
