import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { DATE_COLUMN } from '../database/columns.js';
import { User } from '../users/user.entity.js';

/** An application that may ask for tokens (RFC 7591, section 2). */
@Entity('oauth_clients')
export class OauthClient {
  /** Its `client_id`. */
  @PrimaryColumn({ type: 'varchar', length: 255 })
  id!: string;

  /** The account that it is when it calls in its own name; null where it never does. */
  @Index()
  @Column({ type: 'varchar', length: 36, nullable: true })
  accountId!: string | null;

  @ManyToOne(() => User, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'accountId' })
  account?: User;

  /** The tenant whose administrators see and end it; null where it registered itself, or is the demo's. */
  @Column({ type: 'varchar', length: 36, nullable: true })
  tenantId!: string | null;

  /** Its metadata, in the names of RFC 7591, without the secret. */
  @Column({ type: 'simple-json' })
  metadata!: Readonly<Record<string, unknown>>;

  /** Its secret, in the secret box: `client_secret_jwt` needs it as it is. Null where it has none. */
  @Column({ type: 'text', nullable: true })
  sealedSecret!: string | null;

  @Column({ type: DATE_COLUMN })
  createdAt!: Date;
}
