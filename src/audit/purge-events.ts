import { LessThanOrEqual, MoreThanOrEqual, LessThan, type DataSource } from 'typeorm';
import type { Settings } from '../config/settings.js';
import { AuditEvent } from './audit-event.entity.js';
import { AuditLog } from './audit-log.service.js';
import type { Anchor } from './verify-chain.js';

/**
 * Takes away the oldest events, up to the first that is not of before a moment: where a clock was wrong, it keeps more.
 * The last of them is named by an event further down, so what is left still verifies, and shows that it was purged
 * and up to where.
 *
 * @returns that last one, or undefined where there was nothing so old
 */
export function purgeEvents(
  dataSource: DataSource,
  settings: Settings,
  before: Date,
): Promise<Anchor | undefined> {
  return dataSource.transaction(async (manager) => {
    const [kept] = await manager.find(AuditEvent, {
      where: { at: MoreThanOrEqual(before) },
      order: { seq: 'ASC' },
      take: 1,
    });
    const [last] = await manager.find(AuditEvent, {
      where: kept ? { seq: LessThan(kept.seq) } : {},
      order: { seq: 'DESC' },
      take: 1,
    });
    if (!last) return undefined;
    const anchor = { seq: last.seq, hash: last.hash };
    await manager.delete(AuditEvent, { seq: LessThanOrEqual(last.seq) });
    const log = new AuditLog(dataSource, settings);
    await log.append(manager, {
      event: 'sensitive_delete',
      target: `audit:${last.seq}`,
      details: anchor,
    });
    return anchor;
  });
}
