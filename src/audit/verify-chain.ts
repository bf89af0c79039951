import { MoreThan, type DataSource } from 'typeorm';
import type { Settings } from '../config/settings.js';
import { DerivedKeys } from '../crypto/derived-keys.js';
import { AuditEvent, AuditHead } from './audit-event.entity.js';
import { eventHash } from './hash-chain.js';

const EVENTS_PER_QUERY = 1000;

/** The number and hash of an event. An earlier head, stored outside the database, is an anchor of a later check. */
export interface ChainAnchor {
  readonly seq: number;
  readonly hash: string;
}

export type ChainVerification =
  | { readonly valid: true; readonly events: number; readonly head: ChainAnchor }
  | { readonly valid: false; readonly brokenAt: number; readonly reason: string };

/**
 * Checks the whole hash chain and reports its first broken event.
 *
 * A purged log starts after event 1. The event of the purge must then contain the number and hash of the last deleted
 * event.
 *
 * @param anchor an earlier head. A chain that was truncated before it or rebuilt does not contain it.
 */
export async function verifyChain(
  dataSource: DataSource,
  settings: Settings,
  anchor?: ChainAnchor,
): Promise<ChainVerification> {
  const keys = new DerivedKeys(settings, 'audit');
  // Read the last event before the head: both are written together, so an event beyond this head was inserted by
  // another writer. Events that are added later are not checked.
  const [last] = await dataSource.manager.find(AuditEvent, { order: { seq: 'DESC' }, take: 1 });
  const head = await dataSource.manager.findOneBy(AuditHead, { id: 1 });
  if (!head) return broken((last?.seq ?? 0) + 1, 'the head of the chain is missing');
  const [first] = await dataSource.manager.find(AuditEvent, { order: { seq: 'ASC' }, take: 1 });
  const start = first && first.seq > 1 ? await purgedBefore(dataSource, first.seq) : { seq: 0, hash: '' };
  if (!start) return broken(1, 'the events before the first are missing, and no purge names them');
  let { seq, hash } = start;
  if (anchor?.seq === seq && anchor.hash !== hash) return broken(seq, ANCHOR_MISMATCH);
  let anchored = anchor === undefined || anchor.seq <= seq;
  while (seq < head.seq) {
    const events = await dataSource.manager.find(AuditEvent, {
      where: { seq: MoreThan(seq) },
      order: { seq: 'ASC' },
      take: EVENTS_PER_QUERY,
    });
    if (!events.length) return broken(seq + 1, 'it is missing, with all later events');
    for (const event of events) {
      if (event.seq > head.seq) break;
      if (event.seq !== seq + 1) return broken(seq + 1, 'it is missing');
      const key = keys.find(event.keyId);
      if (!key) return broken(event.seq, 'its key comes from an APP_SECRET that is no longer set');
      if (eventHash(key, event, hash) !== event.hash) return broken(event.seq, 'it was altered');
      ({ seq, hash } = event);
      if (anchor?.seq !== seq) continue;
      if (anchor.hash !== hash) return broken(seq, ANCHOR_MISMATCH);
      anchored = true;
    }
  }
  if (hash !== head.hash) return broken(head.seq, 'it is not the head of the chain');
  if (last && last.seq > head.seq) return broken(head.seq + 1, 'it lies beyond the head of the chain');
  if (!anchored) return broken(seq + 1, 'it is missing: the anchor lies beyond the head');
  return { valid: true, events: seq - start.seq, head: { seq, hash } };
}

const ANCHOR_MISMATCH = 'its hash differs from the anchor';

const broken = (brokenAt: number, reason: string): ChainVerification => ({ valid: false, brokenAt, reason });

/** The last event that a purge deleted, from the event of that purge. */
async function purgedBefore(dataSource: DataSource, firstSeq: number): Promise<ChainAnchor | undefined> {
  const purge = await dataSource.manager.findOneBy(AuditEvent, {
    event: 'sensitive_delete',
    target: `audit:${firstSeq - 1}`,
  });
  return purge?.details as ChainAnchor | undefined;
}
