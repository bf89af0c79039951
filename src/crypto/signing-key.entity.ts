import { Column, Entity, PrimaryColumn } from 'typeorm';
import { DATE_COLUMN } from '../database/columns.js';

/**
 * A key that signs tokens. Its state follows from its moments: *next* until `activeFrom`, so that everybody has
 * learnt of it before it signs; then *active*; from `retiredAt` on *retired*: it signs no more, and what it signed is
 * good for a while yet.
 */
@Entity('signing_keys')
export class SigningKey {
  /** The thumbprint of the public key (RFC 7638). */
  @PrimaryColumn({ type: 'varchar', length: 43 })
  kid!: string;

  /** Counts the rotations; unique, so that of two processes that rotate at once only one does. */
  @Column({ type: 'integer', unique: true })
  generation!: number;

  @Column({ type: 'simple-json' })
  publicJwk!: Readonly<Record<string, string>>;

  /** The private key (PKCS #8, PEM) in the secret box. */
  @Column({ type: 'text' })
  sealed!: string;

  @Column({ type: DATE_COLUMN })
  activeFrom!: Date;

  @Column({ type: DATE_COLUMN, nullable: true })
  retiredAt!: Date | null;
}
