import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { DATE_COLUMN } from '../database/columns.js';

/** From where an account has signed in, so that a stranger's failures elsewhere do not lock its owner out here. */
@Entity('known_addresses')
export class KnownAddress {
  @PrimaryColumn({ type: 'varchar', length: 36 })
  userId!: string;

  /** As {@link networkOf} writes it. */
  @PrimaryColumn({ type: 'varchar', length: 45 })
  address!: string;

  @Index()
  @Column({ type: DATE_COLUMN })
  seenAt!: Date;
}
