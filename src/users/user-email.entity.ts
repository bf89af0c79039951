import { Column, Entity, Index, JoinColumn, OneToOne, PrimaryColumn } from 'typeorm';
import { DATE_COLUMN } from '../database/columns.js';
import { User } from './user.entity.js';

/** The e-mail address of an account. Accounts without one have no row here. */
@Entity('email_addresses')
export class UserEmail {
  @PrimaryColumn({ type: 'varchar', length: 36 })
  userId!: string;

  @OneToOne(() => User, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'userId' })
  user?: User;

  /** Unique over all tenants, in the form of {@link normalizeEmailAddress}. */
  @Index({ unique: true })
  @Column({ type: 'varchar', length: 254 })
  address!: string;

  /** When the account's owner proved to receive mails there; null until then. */
  @Column({ type: DATE_COLUMN, nullable: true })
  verifiedAt!: Date | null;
}
