import { Injectable } from '@nestjs/common';
import { isIP } from 'node:net';
import { DataSource, type EntityManager, type QueryDeepPartialEntity } from 'typeorm';
import type { Principal } from '../auth/index.js';
import { Settings } from '../config/index.js';
import { Keyring } from '../crypto/index.js';
import { isPostgres } from '../database/index.js';
import { AuditEvent, AuditHead } from './audit-event.entity.js';
import { hashOf, type Link } from './chain.js';
import { current } from './request-context.js';
import type { AuditEventName } from './vocabulary.js';

/** What happened. Who, when and from where are added where they are known. */
export interface Entry {
  readonly event: AuditEventName;
  /** Who did it: fills in the account, the tenant, the method and the credential. */
  readonly actor?: (Pick<Principal, 'id' | 'tenantId'> & Partial<Principal>) | undefined;
  readonly method?: string | undefined;
  readonly target?: string | undefined;
  readonly details?: Readonly<Record<string, unknown>>;
}

/** An entry with the moment and the request that it belongs to. */
export type Occurrence = Omit<Link, 'seq' | 'keyId'>;

/** Writes down what was done, in a chain that shows whether anything was altered or taken out. */
@Injectable()
export class AuditLog {
  private readonly keys: Keyring;

  constructor(
    private readonly dataSource: DataSource,
    settings: Settings,
  ) {
    this.keys = new Keyring(settings, 'audit');
  }

  /**
   * Adds to the chain inside the caller's transaction: what was done and its event commit together or not at all.
   * Do it last, since from here to the commit every other writer of events waits.
   */
  async append(manager: EntityManager, ...entries: readonly Entry[]): Promise<void> {
    await this.write(manager, entries.map(occurred));
  }

  /** For what changes nothing else in the database: in a transaction of its own. */
  async record(entry: Entry): Promise<void> {
    await this.dataSource.transaction((manager) => this.append(manager, entry));
  }

  /** @see append, for what happened earlier */
  async write(manager: EntityManager, occurrences: readonly Occurrence[]): Promise<void> {
    if (!occurrences.length) return;
    const head = await manager.findOneOrFail(AuditHead, {
      where: { id: 1 },
      ...(isPostgres(this.dataSource) && { lock: { mode: 'pessimistic_write' as const } }),
    });
    let { seq, hash } = head;
    const { id: keyId, key } = this.keys.current;
    const events: AuditEvent[] = [];
    for (const occurrence of occurrences) {
      const link: Link = { ...occurrence, seq: ++seq, keyId };
      hash = hashOf(key, link, hash);
      events.push({ ...link, hash });
    }
    await manager.insert(AuditEvent, events as QueryDeepPartialEntity<AuditEvent>[]);
    await manager.update(AuditHead, { id: 1 }, { seq, hash });
  }
}

/** An entry as it happens now, in the request under way. */
export function occurred({ event, actor, method, target, details = {} }: Entry): Occurrence {
  const context = current.getStore();
  const proof = actor?.proofs?.[0];
  const ip = context?.seen().ip ?? '';
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
