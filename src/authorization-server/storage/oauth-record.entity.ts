import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { DATE_COLUMN } from '../../database/columns.js';
import { User } from '../../users/user.entity.js';

/** A model instance of oidc-provider other than a client or an access token: a session, grant, code or refresh token. */
@Entity('oauth_records')
export class OauthRecord {
  /** SHA-256 of the kind and oidc-provider's id, in base64url. Most of those ids are secrets. */
  @PrimaryColumn({ type: 'varchar', length: 43 })
  id!: string;

  /** The model's name: `RefreshToken`. */
  @Column({ type: 'varchar', length: 40 })
  kind!: string;

  @Index()
  @Column({ type: 'varchar', length: 36, nullable: true })
  accountId!: string | null;

  @ManyToOne(() => User, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'accountId' })
  account?: User;

  /** The account's epoch at the sign-in or consent. "Log out everywhere" raises the account's and so ends this record. */
  @Column({ type: 'integer', nullable: true })
  epoch!: number | null;

  @Index()
  @Column({ type: 'varchar', length: 255, nullable: true })
  clientId!: string | null;

  /** The consent that the record depends on. */
  @Index()
  @Column({ type: 'varchar', length: 43, nullable: true })
  grantId!: string | null;

  /** A second key: a session's `uid`, or the digest of a user code. */
  @Index()
  @Column({ type: 'varchar', length: 64, nullable: true })
  alias!: string | null;

  /** The model's payload as JSON, encrypted. Empty after a revocation. */
  @Column({ type: 'text' })
  sealed!: string;

  /** Set when a one-time code or refresh token is used. */
  @Column({ type: DATE_COLUMN, nullable: true })
  consumedAt!: Date | null;

  /** The last polling request for a device code or a backchannel authentication request. */
  @Column({ type: DATE_COLUMN, nullable: true })
  polledAt!: Date | null;

  @Index()
  @Column({ type: DATE_COLUMN, nullable: true })
  expiresAt!: Date | null;
}
