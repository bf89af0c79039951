import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { DATE_COLUMN } from '../database/columns.js';
import type { AuditEventName } from '../authentication/ports.js';

/** PostgreSQL hands out 64-bit numbers as text; these stay far below 2^53. */
const NUMBER = { to: (value: number) => value, from: Number };

/** One link of the chain. It refers to accounts and credentials by id and without a foreign key: it outlives them. */
@Entity('audit_events')
@Index(['tenantId', 'seq'])
@Index(['tenantId', 'event', 'seq'])
@Index(['tenantId', 'userId', 'seq'])
export class AuditEvent {
  /** Counts up by one, whatever the clock does. */
  @PrimaryColumn({ type: 'bigint', transformer: NUMBER })
  seq!: number;

  @Column({ type: DATE_COLUMN })
  at!: Date;

  @Column({ type: 'varchar', length: 40 })
  event!: AuditEventName;

  /** Who did it; null where nobody was known. */
  @Column({ type: 'varchar', length: 36, nullable: true })
  userId!: string | null;

  @Column({ type: 'varchar', length: 36, nullable: true })
  tenantId!: string | null;

  /** By which method, and which of its credentials. */
  @Column({ type: 'varchar', length: 40, nullable: true })
  method!: string | null;

  @Column({ type: 'varchar', length: 64, nullable: true })
  credentialId!: string | null;

  @Column({ type: 'varchar', length: 45, nullable: true })
  ip!: string | null;

  @Column({ type: 'varchar', length: 36, nullable: true })
  requestId!: string | null;

  /** What it was done to: `document:<id>`, `session:<id>`. */
  @Column({ type: 'varchar', length: 120, nullable: true })
  target!: string | null;

  /** Whatever else there is to say. Never a secret, and nothing that a caller typed. */
  @Column({ type: 'simple-json' })
  details!: Readonly<Record<string, unknown>>;

  /** Which key made the hash. */
  @Column({ type: 'varchar', length: 8 })
  keyId!: string;

  /** HMAC-SHA256 over all of the above and the hash before, in base64url. */
  @Column({ type: 'varchar', length: 43 })
  hash!: string;
}

/** The last link: one row, which every writer takes before it adds another. */
@Entity('audit_head')
export class AuditHead {
  @PrimaryColumn({ type: 'integer' })
  id!: number;

  @Column({ type: 'bigint', transformer: NUMBER })
  seq!: number;

  @Column({ type: 'varchar', length: 43 })
  hash!: string;
}
