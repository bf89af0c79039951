import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { DATE_COLUMN, STRING_LIST_COLUMN } from '../../database/columns.js';
import { User } from '../../users/user.entity.js';

/** One sign-in with all its tokens, which end together. */
@Entity('token_families')
export class TokenFamily {
  /** The `sid` claim of its access tokens. */
  @PrimaryColumn({ type: 'varchar', length: 36 })
  id!: string;

  @Index()
  @Column({ type: 'varchar', length: 36 })
  userId!: string;

  @ManyToOne(() => User, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'userId' })
  user?: User;

  /** The account's epoch at the sign-in. */
  @Column({ type: 'integer' })
  epoch!: number;

  /** Granted at the sign-in. Null: no limit but the account's roles. */
  @Column({ ...STRING_LIST_COLUMN, nullable: true })
  scopes!: string[] | null;

  /** How (RFC 8176) and when the account signed in. */
  @Column(STRING_LIST_COLUMN)
  amr!: string[];

  @Column({ type: DATE_COLUMN })
  authAt!: Date;

  @Column({ type: 'varchar', length: 200 })
  userAgent!: string;

  @Column({ type: DATE_COLUMN })
  createdAt!: Date;

  /** The absolute end, which a refresh does not extend. */
  @Index()
  @Column({ type: DATE_COLUMN })
  expiresAt!: Date;

  @Column({ type: DATE_COLUMN, nullable: true })
  revokedAt!: Date | null;
}

/** A refresh token. Used ones stay stored, so that their reuse is detected. */
@Entity('refresh_tokens')
export class RefreshToken {
  /** The public part of the token. */
  @PrimaryColumn({ type: 'varchar', length: 22 })
  id!: string;

  @Index()
  @Column({ type: 'varchar', length: 36 })
  familyId!: string;

  @ManyToOne(() => TokenFamily, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'familyId' })
  family?: TokenFamily;

  /** SHA-256 of the secret part, hexadecimal. */
  @Column({ type: 'varchar', length: 64 })
  hash!: string;

  @Column({ type: DATE_COLUMN })
  expiresAt!: Date;

  @Column({ type: DATE_COLUMN, nullable: true })
  usedAt!: Date | null;
}
