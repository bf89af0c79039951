import { createHmac, type KeyObject } from 'node:crypto';
import type { AuditEvent } from './audit-event.entity.js';

/** An event as it was made, before its hash. */
export type UnhashedEvent = Omit<AuditEvent, 'hash'>;

/** An event before its place in the chain is known. */
export type PendingEvent = Omit<UnhashedEvent, 'seq' | 'keyId'>;

/**
 * The hash of an event: it covers every field and the hash before it, so none can be altered, left out or put in
 * between. It takes a key, so whoever can write to the database still cannot make a chain that verifies.
 */
export const eventHash = (key: KeyObject, link: UnhashedEvent, before: string): string =>
  createHmac('sha256', key)
    .update(
      JSON.stringify([
        before,
        link.seq,
        link.at.toISOString(),
        link.event,
        link.userId,
        link.tenantId,
        link.method,
        link.credentialId,
        link.ip,
        link.requestId,
        link.target,
        link.details,
        link.keyId,
      ]),
    )
    .digest('base64url');
