import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { DATE_COLUMN } from '../database/columns.js';
import { User } from '../users/user.entity.js';

/** A network from which an account has signed in, by any method. A sign-in from another one is reported to its holder. */
@Entity('known_networks')
export class KnownNetwork {
  @PrimaryColumn({ type: 'varchar', length: 36 })
  userId!: string;

  @ManyToOne(() => User, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'userId' })
  user?: User;

  /** An IPv4 address or an IPv6 /64, as `networkOf` writes it. */
  @PrimaryColumn({ type: 'varchar', length: 45 })
  network!: string;

  @Index()
  @Column({ type: DATE_COLUMN })
  seenAt!: Date;
}
