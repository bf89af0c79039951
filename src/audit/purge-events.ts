import { LessThan, LessThanOrEqual, MoreThanOrEqual, type DataSource } from 'typeorm';
import type { Settings } from '../config/settings.js';
import { AuditEvent } from './audit-event.entity.js';
import { AuditLog } from './audit-log.service.js';
import type { ChainAnchor } from './verify-chain.js';

/**
 * Deletes the oldest events, up to the first event that is not older than `before`. If a clock was wrong, more
 * events than necessary remain. A new event records the number and hash of the last deleted event, so the remaining chain is
 * valid and shows that it was purged.
 *
 * @returns the last deleted event; undefined if no event was old enough
 */
export function purgeEvents(
  dataSource: DataSource,
  settings: Settings,
  before: Date,
): Promise<ChainAnchor | undefined> {
  return dataSource.transaction(async (manager) => {
    const [firstKept] = await manager.find(AuditEvent, {
      where: { at: MoreThanOrEqual(before) },
      order: { seq: 'ASC' },
      take: 1,
    });
    const [lastDeleted] = await manager.find(AuditEvent, {
      where: firstKept ? { seq: LessThan(firstKept.seq) } : {},
      order: { seq: 'DESC' },
      take: 1,
    });
    if (!lastDeleted) return undefined;
    const { seq, hash } = lastDeleted;
    await manager.delete(AuditEvent, { seq: LessThanOrEqual(seq) });
    const log = new AuditLog(dataSource, settings);
    await log.append(manager, { event: 'sensitive_delete', target: `audit:${seq}`, details: { seq, hash } });
    return { seq, hash };
  });
}
