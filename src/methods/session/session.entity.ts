import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { DATE_COLUMN } from '../../database/columns.js';
import { User } from '../../users/user.entity.js';

@Entity('sessions')
export class Session {
  /** Not secret: for lists, for the audit log, and for ending it. */
  @PrimaryColumn({ type: 'varchar', length: 36 })
  id!: string;

  /** SHA-256 of the cookie's value, hexadecimal. */
  @Index({ unique: true })
  @Column({ type: 'varchar', length: 64 })
  idHash!: string;

  /** The value before it was renewed: good until `previousUntil`, for requests that were on their way. */
  @Index()
  @Column({ type: 'varchar', length: 64, nullable: true })
  previousHash!: string | null;

  @Column({ type: DATE_COLUMN, nullable: true })
  previousUntil!: Date | null;

  @Index()
  @Column({ type: 'varchar', length: 36 })
  userId!: string;

  @ManyToOne(() => User, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'userId' })
  user?: User;

  /** The account's when its proof was looked at: dead once the account's is higher. */
  @Column({ type: 'integer' })
  epoch!: number;

  /** The account's when the value was made: where they differ, a new value is. Permission never comes from here. */
  @Column({ type: 'simple-json' })
  roles!: string[];

  /** Null: no ceiling but the account's roles. */
  @Column({ type: 'simple-json', nullable: true })
  scopes!: string[] | null;

  /** How the caller signed in, and when. */
  @Column({ type: 'simple-json' })
  amr!: string[];

  @Column({ type: DATE_COLUMN })
  authAt!: Date;

  @Column({ type: DATE_COLUMN })
  createdAt!: Date;

  /** To the minute. */
  @Column({ type: DATE_COLUMN })
  lastSeenAt!: Date;

  /** Whatever it is used for until then. */
  @Column({ type: DATE_COLUMN })
  expiresAt!: Date;

  @Column({ type: DATE_COLUMN, nullable: true })
  revokedAt!: Date | null;

  /** So that its owner knows it again in the list; as the caller sent it, so nothing is decided by it. */
  @Column({ type: 'varchar', length: 200, nullable: true })
  userAgent!: string | null;

  @Column({ type: 'varchar', length: 45 })
  ip!: string;
}
