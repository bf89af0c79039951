import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { DATE_COLUMN } from '../../database/columns.js';
import { User } from '../../users/user.entity.js';

/** Somebody at a provider, and the account here that they open. No e-mail address: those change hands. */
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

  /** `sub`: only with the issuer does it name anybody. */
  @Column({ type: 'varchar', length: 255 })
  subject!: string;

  /** By which provider of the configuration it came: for its owner to know it again. */
  @Column({ type: 'varchar', length: 24 })
  provider!: string;

  @Column({ type: DATE_COLUMN })
  createdAt!: Date;

  /** To the minute. */
  @Column({ type: DATE_COLUMN, nullable: true })
  lastUsedAt!: Date | null;
}
