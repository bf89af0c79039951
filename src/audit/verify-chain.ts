import { MoreThan, QueryFailedError, type DataSource, type EntityManager } from 'typeorm';
import type { Settings } from '../config/settings.js';
import { DerivedKeys } from '../crypto/derived-keys.js';
import { UnreadableValue } from '../database/columns.js';
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
 * Checks every event of the hash chain and reports the first broken one.
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
  const { manager } = dataSource;
  const keys = new DerivedKeys(settings, 'audit');
  // Read the last event before the head: both are written together, so an event beyond this head was inserted by
  // another writer. Events that are added later are not checked.
  const last = await outermostSeq(manager, 'DESC');
  const head = await manager.findOneBy(AuditHead, { id: 1 });
  if (!head) return broken((last ?? 0) + 1, 'the head of the chain is missing');
  const first = await outermostSeq(manager, 'ASC');
  if (first !== undefined && first < 1) return broken(first, 'it lies before the start of the chain');
  const start = first !== undefined && first > 1 ? await purgedBefore(manager, first) : { seq: 0, hash: '' };
  if (!start) return broken(1, 'the events before the first are missing, and no purge names them');
  let { seq, hash } = start;
  if (anchor?.seq === seq && anchor.hash !== hash) return broken(seq, ANCHOR_MISMATCH);
  let anchored = anchor === undefined || anchor.seq <= seq;
  while (seq < head.seq) {
    const events = await eventsAfter(manager, seq);
    if (!events) return broken(seq + 1, 'it cannot be read');
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
  if (last !== undefined && !(last <= head.seq))
    return broken(head.seq + 1, 'it lies beyond the head of the chain');
  if (!anchored) return broken(seq + 1, 'it is missing: the anchor lies beyond the head');
  // Paging by number skips a repeated number at the end of a page, and an event without a number.
  const unnumbered = manager.createQueryBuilder(AuditEvent, 'event').where('event.seq IS NULL');
  const stored = await unnumbered.orWhere('event.seq <= :seq', { seq }).getCount();
  if (stored > seq - start.seq) return broken(seq, 'an event up to it has no number of its own');
  return { valid: true, events: seq - start.seq, head: { seq, hash } };
}

const ANCHOR_MISMATCH = 'its hash differs from the anchor';

const broken = (brokenAt: number, reason: string): ChainVerification => ({ valid: false, brokenAt, reason });

/** The lowest or highest number; NaN for one that is not an integer, which SQLite allows. */
async function outermostSeq(manager: EntityManager, order: 'ASC' | 'DESC'): Promise<number | undefined> {
  const query = manager.createQueryBuilder(AuditEvent, 'event').select('event.seq', 'seq');
  const row = await query
    .where('event.seq IS NOT NULL')
    .orderBy('event.seq', order)
    .limit(1)
    .getRawOne<{ seq: unknown }>();
  return row && (/^-?\d+$/.test(String(row.seq)) ? Number(row.seq) : Number.NaN);
}

/** The next events; undefined if the first of them cannot be read. */
async function eventsAfter(manager: EntityManager, seq: number): Promise<AuditEvent[] | undefined> {
  const find = (take: number) =>
    manager
      .find(AuditEvent, { where: { seq: MoreThan(seq) }, order: { seq: 'ASC' }, take })
      .catch(undefinedIfUnreadable);
  return (await find(EVENTS_PER_QUERY)) ?? find(1);
}

function undefinedIfUnreadable(error: unknown): undefined {
  // TypeORM wraps what the driver throws.
  const cause: unknown = error instanceof QueryFailedError ? error.driverError : error;
  if (!(cause instanceof UnreadableValue)) throw error;
}

/** The last event that a purge deleted, from the event of that purge. Its hash is not verified yet, so neither are its details. */
async function purgedBefore(manager: EntityManager, firstSeq: number): Promise<ChainAnchor | undefined> {
  const purge = await manager
    .findOneBy(AuditEvent, { event: 'sensitive_delete', target: `audit:${firstSeq - 1}` })
    .catch(undefinedIfUnreadable);
  const { seq, hash } = purge?.details ?? {};
  return seq === firstSeq - 1 && typeof hash === 'string' ? { seq, hash } : undefined;
}
