import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { DATE_COLUMN } from '../../database/columns.js';
import { User } from '../../users/user.entity.js';

/** One sign-in, and all the tokens that came of it: they end together. */
@Entity('token_families')
export class TokenFamily {
  /** The `sid` of its access tokens. */
  @PrimaryColumn({ type: 'varchar', length: 36 })
  id!: string;

  @Index()
  @Column({ type: 'varchar', length: 36 })
  userId!: string;

  @ManyToOne(() => User, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'userId' })
  user?: User;

  /** The account's, when it signed in. */
  @Column({ type: 'integer' })
  epoch!: number;

  /** What was granted at the sign-in; null: no ceiling. */
  @Column({ type: 'simple-json', nullable: true })
  scopes!: string[] | null;

  /** How and when the account proved itself. */
  @Column({ type: 'simple-json' })
  amr!: string[];

  @Column({ type: DATE_COLUMN })
  authAt!: Date;

  @Column({ type: 'varchar', length: 200 })
  userAgent!: string;

  @Column({ type: DATE_COLUMN })
  createdAt!: Date;

  /** The end, however often it is refreshed. */
  @Index()
  @Column({ type: DATE_COLUMN })
  expiresAt!: Date;

  @Column({ type: DATE_COLUMN, nullable: true })
  revokedAt!: Date | null;
}

/** Every refresh token that a family ever had: a used one that comes again must be known as such. */
@Entity('refresh_tokens')
export class RefreshToken {
  /** The part of the token that is not secret. */
  @PrimaryColumn({ type: 'varchar', length: 22 })
  id!: string;

  @Index()
  @Column({ type: 'varchar', length: 36 })
  familyId!: string;

  @ManyToOne(() => TokenFamily, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'familyId' })
  family?: TokenFamily;

  /** SHA-256, hexadecimal. */
  @Column({ type: 'varchar', length: 64 })
  hash!: string;

  @Column({ type: DATE_COLUMN })
  expiresAt!: Date;

  @Column({ type: DATE_COLUMN, nullable: true })
  usedAt!: Date | null;
}
