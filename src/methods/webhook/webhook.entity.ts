import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { DATE_COLUMN } from '../../database/columns.js';
import { User } from '../../users/user.entity.js';

/** Somebody who sends messages, for an account of ours. */
@Entity('webhook_sources')
export class WebhookSource {
  /** Stands in the address that the sender is given. */
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

  /** Sealed: an HMAC needs the secret itself. */
  @Column({ type: 'varchar', length: 300 })
  secret!: string;

  /** The secret before the last rotation, good until `previousUntil`. */
  @Column({ type: 'varchar', length: 300, nullable: true })
  previousSecret!: string | null;

  @Column({ type: DATE_COLUMN, nullable: true })
  previousUntil!: Date | null;

  /** Null: no ceiling but the owner's roles. */
  @Column({ type: 'simple-json', nullable: true })
  scopes!: string[] | null;

  @Column({ type: DATE_COLUMN })
  createdAt!: Date;

  @Column({ type: DATE_COLUMN, nullable: true })
  expiresAt!: Date | null;

  /** To the minute. */
  @Column({ type: DATE_COLUMN, nullable: true })
  lastUsedAt!: Date | null;

  @Column({ type: DATE_COLUMN, nullable: true })
  revokedAt!: Date | null;
}

/** A message that was processed. */
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

  /** Until when its sender may try again: seconds since 1970. */
  @Index()
  @Column({ type: 'bigint' })
  until!: number;
}
