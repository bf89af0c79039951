import { Column, Entity, JoinColumn, OneToOne, PrimaryColumn } from 'typeorm';
import { DATE_COLUMN } from '../database/columns.js';
import { User } from '../users/user.entity.js';

/** The password of an account, in a table of its own: an account that signs in otherwise has no row here. */
@Entity('passwords')
export class Password {
  @PrimaryColumn({ type: 'varchar', length: 36 })
  userId!: string;

  @OneToOne(() => User, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'userId' })
  user?: User;

  /** argon2id in the PHC string form: parameters, salt and hash. */
  @Column({ type: 'varchar', length: 255 })
  hash!: string;

  @Column({ type: DATE_COLUMN })
  changedAt!: Date;
}
