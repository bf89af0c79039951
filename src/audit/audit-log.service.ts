import { Injectable, type BeforeApplicationShutdown } from '@nestjs/common';
import { isIP } from 'node:net';
import { DataSource, type EntityManager, type QueryDeepPartialEntity } from 'typeorm';
import type { AuditEntry, AuditPort } from '../authentication/ports.js';
import { Settings } from '../config/settings.js';
import { DerivedKeys } from '../crypto/derived-keys.js';
import { isPostgres } from '../database/columns.js';
import { AuditEvent, AuditHead } from './audit-event.entity.js';
import { EventQueue } from './event-queue.js';
import { eventHash, type PendingEvent, type UnhashedEvent } from './hash-chain.js';
import { requestContext } from '../http/request-context.js';

/** Writes down what was done, in a chain that shows whether anything was altered or taken out. */
@Injectable()
export class AuditLog implements AuditPort, BeforeApplicationShutdown {
  private readonly keys: DerivedKeys;
  private readonly queue = new EventQueue((events, dropped) => this.writeBatch(events, dropped));
  /** A WeakSet, because the errors are exceptions of Nest and of libraries, which have no field for it. */
  private readonly recordedErrors = new WeakSet<Error>();

  constructor(
    private readonly dataSource: DataSource,
    settings: Settings,
  ) {
    this.keys = new DerivedKeys(settings, 'audit');
  }

  /**
   * Adds to the chain inside the caller's transaction: what was done and its event commit together or not at all.
   * Do it last, since from here to the commit every other writer of events waits.
   */
  async append(manager: EntityManager, ...entries: readonly AuditEntry[]): Promise<void> {
    await this.write(manager, entries.map(pendingEvent));
  }

  /** For what changes nothing else in the database: in a transaction of its own. */
  async record(entry: AuditEntry): Promise<void> {
    await this.dataSource.transaction((manager) => this.append(manager, entry));
  }

  async recordRejection(error: Error, entry: AuditEntry): Promise<void> {
    await this.record(entry);
    this.recordedErrors.add(error);
  }

  recordInBackground(entry: AuditEntry): void {
    this.queue.add(pendingEvent(entry));
  }

  /** Stores the events that wait in the background. */
  flush(): Promise<void> {
    return this.queue.flush();
  }

  beforeApplicationShutdown(): Promise<void> {
    return this.queue.close();
  }

  isRecorded(error: Error): boolean {
    return this.recordedErrors.has(error);
  }

  /** @see append, for events that happened earlier */
  async write(manager: EntityManager, occurrences: readonly PendingEvent[]): Promise<void> {
    if (!occurrences.length) return;
    const head = await manager.findOneOrFail(AuditHead, {
      where: { id: 1 },
      ...(isPostgres(this.dataSource) && { lock: { mode: 'pessimistic_write' as const } }),
    });
    let { seq, hash } = head;
    const { id: keyId, key } = this.keys.current;
    const events: AuditEvent[] = [];
    for (const occurrence of occurrences) {
      const link: UnhashedEvent = { ...occurrence, seq: ++seq, keyId };
      hash = eventHash(key, link, hash);
      events.push({ ...link, hash });
    }
    await manager.insert(AuditEvent, events as QueryDeepPartialEntity<AuditEvent>[]);
    await manager.update(AuditHead, { id: 1 }, { seq, hash });
  }

  private async writeBatch(events: readonly PendingEvent[], dropped: number): Promise<void> {
    const count = pendingEvent({ event: 'excess_rate_limit_exceeded', details: { unrecorded: dropped } });
    await this.dataSource.transaction((manager) =>
      this.write(manager, dropped ? [...events, count] : events),
    );
  }
}

/** An entry as it happens now, in the request under way. */
export function pendingEvent({ event, actor, method, target, details = {} }: AuditEntry): PendingEvent {
  const context = requestContext.getStore();
  const proof = actor?.proofs?.[0];
  const ip = context?.details().ip ?? '';
  return {
    at: new Date(),
    event,
    userId: actor?.id ?? null,
    tenantId: actor?.tenantId ?? null,
    method: method ?? proof?.method ?? null,
    credentialId: proof?.credentialId ?? null,
    // A proxy that is trusted may still hand on what a caller wrote into X-Forwarded-For. A scope id is ours alone.
    ip: isIP(ip) ? ip.replace(/%.*/, '') : null,
    requestId: context?.requestId ?? null,
    target: target ?? null,
    // Who sent it and who acts, where that is not the account itself.
    details: {
      ...(proof?.client && { client: proof.client }),
      ...(proof?.act && { act: proof.act }),
      ...details,
    },
  };
}
