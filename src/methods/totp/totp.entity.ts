import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { DATE_COLUMN } from '../../database/columns.js';
import { User } from '../../users/user.entity.js';

/** A secret that an account shares with an authenticator app. An account has at most one confirmed and one pending. */
@Entity('totp_secrets')
export class TotpSecret {
  @PrimaryColumn({ type: 'varchar', length: 36 })
  id!: string;

  @Index()
  @Column({ type: 'varchar', length: 36 })
  userId!: string;

  @ManyToOne(() => User, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'userId' })
  user?: User;

  /** Encrypted for this row and account. */
  @Column({ type: 'varchar', length: 200 })
  sealed!: string;

  /** The time step of the last accepted code. Codes of this step and of earlier ones are rejected. */
  @Column({ type: 'integer' })
  lastStep!: number;

  @Column({ type: DATE_COLUMN })
  createdAt!: Date;

  /** Null until a code has proved that the app has the secret. */
  @Column({ type: DATE_COLUMN, nullable: true })
  confirmedAt!: Date | null;

  /** Accurate to the minute. */
  @Column({ type: DATE_COLUMN, nullable: true })
  lastUsedAt!: Date | null;
}
