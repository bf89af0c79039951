import { createHmac, type KeyObject } from 'node:crypto';
import type { AuditEvent } from './audit-event.entity.js';

/** An event as it was made, before its hash. */
export type Link = Omit<AuditEvent, 'hash'>;

/**
 * The hash of an event: it covers every field and the hash before it, so none can be altered, left out or put in
 * between. It takes a key, so whoever can write to the database still cannot make a chain that verifies.
 */
export const hashOf = (key: KeyObject, link: Link, before: string): string =>
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
