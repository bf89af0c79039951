import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { DATE_COLUMN, STRING_LIST_COLUMN } from '../../database/columns.js';
import { User } from '../../users/user.entity.js';

/** A sender of messages, registered by an account. */
@Entity('webhook_sources')
export class WebhookSource {
  /** Part of the address that the sender is given. */
  @PrimaryColumn({ type: 'varchar', length: 36 })
  id!: string;

  @Index()
  @Column({ type: 'varchar', length: 36 })
  userId!: string;

  @ManyToOne(() => User, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'userId' })
  user?: User;

  @Column({ type: 'varchar', length: 100 })
  name!: string;

  /** The encrypted secret. Verifying an HMAC needs the secret itself, so a hash is not enough. */
  @Column({ type: 'varchar', length: 300 })
  secret!: string;

  /** The secret before the last rotation. It is valid until `previousUntil`. */
  @Column({ type: 'varchar', length: 300, nullable: true })
  previousSecret!: string | null;

  @Column({ type: DATE_COLUMN, nullable: true })
  previousUntil!: Date | null;

  /** Null: limited by the owner's roles only. */
  @Column({ ...STRING_LIST_COLUMN, nullable: true })
  scopes!: string[] | null;

  @Column({ type: DATE_COLUMN })
  createdAt!: Date;

  @Column({ type: DATE_COLUMN, nullable: true })
  expiresAt!: Date | null;

  /** Updated at most once a minute. */
  @Column({ type: DATE_COLUMN, nullable: true })
  lastUsedAt!: Date | null;

  @Column({ type: DATE_COLUMN, nullable: true })
  revokedAt!: Date | null;
}

/** A processed message. */
@Entity('webhook_messages')
export class WebhookMessage {
  @PrimaryColumn({ type: 'varchar', length: 36 })
  sourceId!: string;

  @ManyToOne(() => WebhookSource, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'sourceId' })
  source?: WebhookSource;

  /** The `webhook-id`. */
  @PrimaryColumn({ type: 'varchar', length: 256 })
  id!: string;

  /** When the row can be deleted, because the sender no longer retries: seconds since 1970. */
  @Index()
  @Column({ type: 'bigint' })
  until!: number;
}
