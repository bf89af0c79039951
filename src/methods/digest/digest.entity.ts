import { Column, Entity, Index, JoinColumn, OneToOne, PrimaryColumn } from 'typeorm';
import { DATE_COLUMN } from '../../database/columns.js';
import { User } from '../../users/user.entity.js';

/** An account that may sign in by Digest, with the password that it had then. */
@Entity('digest_credentials')
export class DigestCredential {
  @PrimaryColumn({ type: 'varchar', length: 36 })
  userId!: string;

  @OneToOne(() => User, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'userId' })
  user?: User;

  /** H(A1) by each algorithm, as JSON, in the secret box: whoever has one needs no password. */
  @Column({ type: 'text' })
  sealed!: string;

  @Index()
  @Column({ type: 'varchar', length: 64 })
  userhashSha256!: string;

  @Index()
  @Column({ type: 'varchar', length: 64 })
  userhashSha512256!: string;

  /** Of the password that it was made of: when the account has another one, this is over. */
  @Column({ type: DATE_COLUMN })
  passwordChangedAt!: Date;

  @Column({ type: DATE_COLUMN })
  enabledAt!: Date;
}

/** How often a nonce has been used. */
@Entity('digest_nonces')
export class DigestNonce {
  @PrimaryColumn({ type: 'varchar', length: 22 })
  id!: string;

  /** The highest count that was accepted. */
  @Column({ type: 'bigint' })
  nc!: number;

  /** When the nonce is too old to be used: seconds since 1970. */
  @Index()
  @Column({ type: 'bigint' })
  until!: number;
}
