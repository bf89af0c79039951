import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { DATE_COLUMN, integerFromRow } from '../database/columns.js';
import type { AuditEventName } from '../authentication/ports.js';

/** The PostgreSQL driver returns 64-bit integers as strings. These numbers stay far below 2^53. */
const BIGINT_AS_NUMBER = {
  to: (value: number) => value,
  from: (value: unknown) => integerFromRow(typeof value === 'string' && value ? Number(value) : value),
};

/**
 * An event of the hash chain. It refers to accounts and credentials by id without a foreign key, because it remains
 * after they are deleted.
 */
@Entity('audit_events')
@Index(['tenantId', 'seq'])
@Index(['tenantId', 'event', 'seq'])
@Index(['tenantId', 'userId', 'seq'])
export class AuditEvent {
  /** The position in the chain, from 1 without gaps. The order does not depend on the clock. */
  @PrimaryColumn({ type: 'bigint', transformer: BIGINT_AS_NUMBER })
  seq!: number;

  @Column({ type: DATE_COLUMN })
  at!: Date;

  @Column({ type: 'varchar', length: 40 })
  event!: AuditEventName;

  /** The account that acted; null if it is not known. */
  @Column({ type: 'varchar', length: 36, nullable: true })
  userId!: string | null;

  @Column({ type: 'varchar', length: 36, nullable: true })
  tenantId!: string | null;

  /** The authentication method of the request. */
  @Column({ type: 'varchar', length: 40, nullable: true })
  method!: string | null;

  @Column({ type: 'varchar', length: 64, nullable: true })
  credentialId!: string | null;

  @Column({ type: 'varchar', length: 45, nullable: true })
  ip!: string | null;

  @Column({ type: 'varchar', length: 36, nullable: true })
  requestId!: string | null;

  /** The object of the action, as `kind:id`: `session:3f…`. */
  @Column({ type: 'varchar', length: 120, nullable: true })
  target!: string | null;

  /** More data of the event. Never a secret, and never text that a caller typed. */
  @Column({ type: 'simple-json' })
  details!: Readonly<Record<string, unknown>>;

  /** The id of the HMAC key. */
  @Column({ type: 'varchar', length: 8 })
  keyId!: string;

  /** HMAC-SHA256 over the fields above and the hash of the previous event, in base64url. */
  @Column({ type: 'varchar', length: 43 })
  hash!: string;
}

/** The last event of the chain: one row, which every writer locks before it appends. */
@Entity('audit_head')
export class AuditHead {
  @PrimaryColumn({ type: 'integer' })
  id!: number;

  @Column({ type: 'bigint', transformer: BIGINT_AS_NUMBER })
  seq!: number;

  @Column({ type: 'varchar', length: 43 })
  hash!: string;
}
