import { Column, Entity, Index, JoinColumn, ManyToOne, OneToOne, PrimaryColumn } from 'typeorm';
import { DATE_COLUMN } from '../database/columns.js';
import { User } from '../users/user.entity.js';

/** The password of an account. Accounts that sign in only by other methods have no row here. */
@Entity('passwords')
export class Password {
  @PrimaryColumn({ type: 'varchar', length: 36 })
  userId!: string;

  @OneToOne(() => User, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'userId' })
  user?: User;

  /** argon2id in the PHC string format: parameters, salt and hash. */
  @Column({ type: 'varchar', length: 255 })
  hash!: string;

  @Column({ type: DATE_COLUMN })
  changedAt!: Date;
}

/** A network from which an account has signed in. Failures from elsewhere do not lock it out there. */
@Entity('known_addresses')
export class KnownAddress {
  @PrimaryColumn({ type: 'varchar', length: 36 })
  userId!: string;

  @ManyToOne(() => User, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'userId' })
  user?: User;

  /** An IPv4 address or an IPv6 /64, as `networkOf` writes it. */
  @PrimaryColumn({ type: 'varchar', length: 45 })
  address!: string;

  @Index()
  @Column({ type: DATE_COLUMN })
  seenAt!: Date;
}
