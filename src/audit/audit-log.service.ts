import { Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
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

/** Stores audit events in a hash chain, which shows whether an event was altered or deleted. */
@Injectable()
export class AuditLog implements AuditPort, OnModuleInit, OnApplicationShutdown {
  private readonly keys: DerivedKeys;
  private readonly queue = new EventQueue((events, dropped) => this.writeBatch(events, dropped));
  /** Errors whose event is stored. A WeakSet, because exceptions of Nest and of libraries have no field for it. */
  private readonly recordedErrors = new WeakSet<Error>();

  constructor(
    private readonly dataSource: DataSource,
    settings: Settings,
  ) {
    this.keys = new DerivedKeys(settings, 'audit');
  }

  /**
   * Appends to the chain in the caller's transaction, so that a change and its event commit together. Call it last:
   * other writers of events wait until the transaction ends.
   */
  async append(manager: EntityManager, ...entries: readonly AuditEntry[]): Promise<void> {
    await this.write(manager, entries.map(pendingEvent));
  }

  /** Appends in a transaction of its own, for an event without another change in the database. */
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

  /** Like {@link recordInBackground}, for a rejected request. Many of one address are counted instead. */
  recordRejectionInBackground(entry: AuditEntry): void {
    this.queue.addRejection(pendingEvent(entry));
  }

  /** Stores the events that wait now. */
  flush(): Promise<void> {
    return this.queue.flush();
  }

  /**
   * Stores the last events after the servers have closed and before the connection closes. A shutdown hook would run too late,
   * because Nest calls that of TypeORM before those of the other global modules.
   */
  onModuleInit(): void {
    const destroy = this.dataSource.destroy.bind(this.dataSource);
    this.dataSource.destroy = async () => {
      await this.queue.close();
      await destroy();
    };
  }

  /** For a connection that was closed before. */
  onApplicationShutdown(): Promise<void> {
    return this.queue.close();
  }

  isRecorded(error: Error): boolean {
    return this.recordedErrors.has(error);
  }

  /** Like {@link append}, for events that already have a time. */
  async write(manager: EntityManager, pending: readonly PendingEvent[]): Promise<void> {
    if (!pending.length) return;
    const head = await manager.findOneOrFail(AuditHead, {
      where: { id: 1 },
      ...(isPostgres(this.dataSource) && { lock: { mode: 'pessimistic_write' as const } }),
    });
    let { seq, hash } = head;
    const { id: keyId, key } = this.keys.current;
    const events: AuditEvent[] = [];
    for (const each of pending) {
      const event: UnhashedEvent = { ...each, seq: ++seq, keyId };
      hash = eventHash(key, event, hash);
      events.push({ ...event, hash });
    }
    await manager.insert(AuditEvent, events as QueryDeepPartialEntity<AuditEvent>[]);
    await manager.update(AuditHead, { id: 1 }, { seq, hash });
  }

  private async writeBatch(events: readonly PendingEvent[], dropped: number): Promise<void> {
    const dropCount = pendingEvent({ event: 'excess_rate_limit_exceeded', details: { unrecorded: dropped } });
    await this.dataSource.transaction((manager) =>
      this.write(manager, dropped ? [...events, dropCount] : events),
    );
  }
}

/** Adds the time and the current request to an entry. */
export function pendingEvent({ event, actor, method, target, details = {} }: AuditEntry): PendingEvent {
  const context = requestContext.getStore();
  const proof = actor?.proofs?.[0];
  const ip = context?.client.ip ?? '';
  return {
    at: new Date(),
    event,
    userId: actor?.id ?? null,
    tenantId: actor?.tenantId ?? null,
    method: method ?? proof?.method ?? null,
    credentialId: proof?.credentialId ?? null,
    // X-Forwarded-For of a trusted proxy may still contain text of the caller. An IPv6 zone id is local, so drop it.
    ip: isIP(ip) ? ip.replace(/%.*/, '') : null,
    requestId: context?.requestId ?? null,
    target: target ?? null,
    // The OAuth client and the actor, if they are not the account itself.
    details: {
      ...(proof?.client && { client: proof.client }),
      ...(proof?.act && { act: proof.act }),
      ...details,
    },
  };
}
