import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { DATE_COLUMN, STRING_LIST_COLUMN } from '../../database/columns.js';
import { User } from '../../users/user.entity.js';

/** A requested sign-in or step-up that waits for its link or code. Requests for unknown addresses are stored alike. */
@Entity('magic_links')
export class MagicLink {
  /** {@link mailboxMac}. A newer request for the same mailbox replaces the row. */
  @PrimaryColumn({ type: 'varchar', length: 43 })
  mailbox!: string;

  /** Null if no mail was sent. Then neither link nor code works. */
  @Index()
  @Column({ type: 'varchar', length: 36, nullable: true })
  userId!: string | null;

  @ManyToOne(() => User, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'userId' })
  user?: User | null;

  /** The account's epoch at the request: ending all sign-ins of the account also ends this one. */
  @Column({ type: 'integer' })
  epoch!: number;

  /** SHA-256 of the link's token. */
  @Index({ unique: true })
  @Column({ type: 'varchar', length: 64 })
  tokenHash!: string;

  /** SHA-256 of the cookie of the requesting browser. */
  @Column({ type: 'varchar', length: 64 })
  browserHash!: string;

  @Column({ type: 'varchar', length: 43 })
  codeMac!: string;

  /** How often a code was tried. */
  @Column({ type: 'integer' })
  attempts!: number;

  /** The method of the issuer, the scopes and the path after the link. */
  @Column({ type: 'varchar', length: 40 })
  issuer!: string;

  @Column({ ...STRING_LIST_COLUMN, nullable: true })
  scopes!: string[] | null;

  @Column({ type: 'varchar', length: 1_000, nullable: true })
  returnTo!: string | null;

  @Index()
  @Column({ type: DATE_COLUMN })
  expiresAt!: Date;
}
