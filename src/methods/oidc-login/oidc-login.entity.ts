import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { DATE_COLUMN } from '../../database/columns.js';
import { User } from '../../users/user.entity.js';

/** A linked identity: a user at a provider, and the account here. Has no e-mail address, because those change owners. */
@Entity('oidc_identities')
@Index(['issuer', 'subject'], { unique: true })
export class OidcIdentity {
  @PrimaryColumn({ type: 'varchar', length: 36 })
  id!: string;

  @Index()
  @Column({ type: 'varchar', length: 36 })
  userId!: string;

  @ManyToOne(() => User, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'userId' })
  user?: User;

  /** `iss` of the ID token. */
  @Column({ type: 'varchar', length: 255 })
  issuer!: string;

  /** `sub` of the ID token. Unique only together with the issuer. */
  @Column({ type: 'varchar', length: 255 })
  subject!: string;

  /** The id of the provider in the configuration. For display only. */
  @Column({ type: 'varchar', length: 24 })
  provider!: string;

  @Column({ type: DATE_COLUMN })
  createdAt!: Date;

  /** Accurate to the minute. */
  @Column({ type: DATE_COLUMN, nullable: true })
  lastUsedAt!: Date | null;
}
