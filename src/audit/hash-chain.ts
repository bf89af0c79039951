import { createHmac, type KeyObject } from 'node:crypto';
import type { AuditEvent } from './audit-event.entity.js';

/** An event without its hash. */
export type UnhashedEvent = Omit<AuditEvent, 'hash'>;

/** An event without its place in the chain. */
export type PendingEvent = Omit<UnhashedEvent, 'seq' | 'keyId'>;

/**
 * The hash of an event, over every field and the hash of the previous event. An altered, deleted or inserted event
 * therefore breaks the chain. The HMAC key is not in the database, so write access to the database is not
 * enough to build a valid chain.
 */
export const eventHash = (key: KeyObject, event: UnhashedEvent, previousHash: string): string =>
  createHmac('sha256', key)
    .update(
      JSON.stringify([
        previousHash,
        event.seq,
        event.at.toISOString(),
        event.event,
        event.userId,
        event.tenantId,
        event.method,
        event.credentialId,
        event.ip,
        event.requestId,
        event.target,
        event.details,
        event.keyId,
      ]),
    )
    .digest('base64url');
