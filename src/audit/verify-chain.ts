import { MoreThan, type DataSource } from 'typeorm';
import type { Settings } from '../config/settings.js';
import { DerivedKeys } from '../crypto/derived-keys.js';
import { AuditEvent, AuditHead } from './audit-event.entity.js';
import { eventHash } from './hash-chain.js';

const PAGE = 1000;

/** A known link: its number and its hash, as {@link verifyChain} gave them earlier, kept where nobody can alter it. */
export interface Anchor {
  readonly seq: number;
  readonly hash: string;
}

export type Verdict =
  | { readonly sound: true; readonly events: number; readonly head: Anchor }
  | { readonly sound: false; readonly brokenAt: number; readonly why: string };

/**
 * Walks the whole chain and names its first broken link.
 *
 * A log that was purged begins later than at 1. What it begins with must then be named by the purge's own event,
 * which is further down the chain.
 *
 * @param anchor an earlier head: a chain that was cut back to before it, or made anew, does not lead through it
 */
export async function verifyChain(
  dataSource: DataSource,
  settings: Settings,
  anchor?: Anchor,
): Promise<Verdict> {
  const keys = new DerivedKeys(settings, 'audit');
  // In this order: every event is written together with a head that is at least as far, so none can lie beyond one
  // that is read later. What is added after that is left for the next time.
  const [last] = await dataSource.manager.find(AuditEvent, { order: { seq: 'DESC' }, take: 1 });
  const head = await dataSource.manager.findOneBy(AuditHead, { id: 1 });
  if (!head) return broken((last?.seq ?? 0) + 1, 'the head of the chain is missing');
  const [first] = await dataSource.manager.find(AuditEvent, { order: { seq: 'ASC' }, take: 1 });
  const purged = first && first.seq > 1 ? await purgeBefore(dataSource, first.seq) : { seq: 0, hash: '' };
  if (!purged) return broken(1, 'the events before the first are missing, and no purge names them');
  let { seq, hash } = purged;
  if (anchor?.seq === seq && anchor.hash !== hash) return broken(seq, NOT_THE_ANCHOR);
  let anchored = anchor === undefined || anchor.seq <= seq;
  while (seq < head.seq) {
    const page = await dataSource.manager.find(AuditEvent, {
      where: { seq: MoreThan(seq) },
      order: { seq: 'ASC' },
      take: PAGE,
    });
    if (!page.length) return broken(seq + 1, 'it is missing, with all that came after');
    for (const event of page) {
      if (event.seq > head.seq) break;
      if (event.seq !== seq + 1) return broken(seq + 1, 'it is missing');
      const key = keys.find(event.keyId);
      if (!key) return broken(event.seq, 'it was made with an APP_SECRET that is no longer set');
      if (eventHash(key, event, hash) !== event.hash) return broken(event.seq, 'it was altered');
      ({ seq, hash } = event);
      if (anchor?.seq === seq) {
        if (anchor.hash !== hash) return broken(seq, NOT_THE_ANCHOR);
        anchored = true;
      }
    }
  }
  if (hash !== head.hash) return broken(head.seq, 'it is not the head of the chain');
  if (last && last.seq > head.seq) return broken(head.seq + 1, 'it lies beyond the head of the chain');
  if (!anchored) return broken(seq + 1, 'it is missing: the anchor lies beyond the head');
  return { sound: true, events: seq - purged.seq, head: { seq, hash } };
}

const NOT_THE_ANCHOR = 'it is not the link that the anchor names';

const broken = (brokenAt: number, why: string): Verdict => ({ sound: false, brokenAt, why });

/** What the purge that took away the events before this one wrote down of the last of them. */
async function purgeBefore(dataSource: DataSource, seq: number): Promise<Anchor | undefined> {
  const purges = await dataSource.manager.find(AuditEvent, {
    where: { event: 'sensitive_delete', target: `audit:${seq - 1}` },
  });
  return purges.map(({ details }) => details as unknown as Anchor)[0];
}
