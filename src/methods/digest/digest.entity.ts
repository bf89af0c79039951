import { Column, Entity, Index, JoinColumn, OneToOne, PrimaryColumn } from 'typeorm';
import { DATE_COLUMN } from '../../database/columns.js';
import { Password } from '../../passwords/password.entity.js';
import { User } from '../../users/user.entity.js';

/** An account that has Digest enabled, with the hashes of the password that it had at that time. */
@Entity('digest_credentials')
export class DigestCredential {
  @PrimaryColumn({ type: 'varchar', length: 36 })
  userId!: string;

  @OneToOne(() => User, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'userId' })
  user?: User;

  /** The account's current password. */
  @OneToOne(() => Password, { createForeignKeyConstraints: false })
  @JoinColumn({ name: 'userId' })
  password?: Password;

  /** The encrypted H(A1) of each algorithm, as JSON. An H(A1) is enough to authenticate, like the password. */
  @Column({ type: 'text' })
  sealed!: string;

  @Index()
  @Column({ type: 'varchar', length: 64 })
  userhashSha256!: string;

  @Index()
  @Column({ type: 'varchar', length: 64 })
  userhashSha512256!: string;

  /** The `changedAt` of the password that H(A1) was computed from. A password change makes the row invalid. */
  @Column({ type: DATE_COLUMN })
  passwordChangedAt!: Date;

  @Column({ type: DATE_COLUMN })
  enabledAt!: Date;
}

/** The nonce count of a nonce. */
@Entity('digest_nonces')
export class DigestNonce {
  @PrimaryColumn({ type: 'varchar', length: 22 })
  id!: string;

  /** The highest count that was accepted. 0 before the first use. */
  @Column({ type: 'bigint' })
  nc!: number;

  /** When the nonce expires: seconds since 1970. */
  @Index()
  @Column({ type: 'bigint' })
  until!: number;
}
