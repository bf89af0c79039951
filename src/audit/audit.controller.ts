import { Controller, Get, Query } from '@nestjs/common';
import type { KeyObject } from 'node:crypto';
import { DataSource } from 'typeorm';
import { z } from 'zod';
import { Ability, Can } from '../authorization/can.guard.js';
import { accessibleBy } from '../authorization/sql/accessible-by.js';
import { PAGE_PARAMETERS, readCursor, writeCursor } from '../authorization/sql/cursor.js';
import type { AppAbility } from '../authorization/app-ability.js';
import { AuditEvent } from './audit-event.entity.js';
import { AuditLog } from './audit-log.service.js';
import { Describe, Tag, text } from '../authentication/describe.js';
import { Caller } from '../authentication/plan.js';
import type { Principal } from '../authentication/principal.js';
import { AUDIT_EVENTS } from '../authentication/ports.js';
import { Settings } from '../config/settings.js';
import { deriveKey } from '../crypto/derived-keys.js';

const ListQuery = z.strictObject({
  ...PAGE_PARAMETERS,
  event: z.enum(AUDIT_EVENTS).optional(),
  userId: text(36, 1).optional(),
});

const AuditEventView = z
  .object({
    seq: z.int(),
    at: z.date(),
    event: z.enum(AUDIT_EVENTS),
    userId: z.string().nullable(),
    tenantId: z.string().nullable(),
    method: z.string().nullable(),
    credentialId: z.string().nullable(),
    ip: z.string().nullable(),
    requestId: z.string().nullable(),
    target: z.string().nullable(),
    details: z.record(z.string(), z.unknown()),
  })
  .meta({ id: 'AuditEvent' });
const AuditEventPage = z
  .object({ items: z.array(AuditEventView), nextCursor: z.string().nullable() })
  .meta({ id: 'AuditEventPage' });

/** The events of the caller's tenant, newest first. Events without a tenant are in the database only. */
@Controller('audit')
@Tag('Audit log', 'The events of the tenant, for administrators and auditors.')
export class AuditController {
  private readonly cursorKey: KeyObject;

  constructor(
    private readonly dataSource: DataSource,
    private readonly log: AuditLog,
    settings: Settings,
  ) {
    this.cursorKey = deriveKey(settings.appSecret, 'cursor of events');
  }

  /** Reading the log is an event as well. */
  @Get('events')
  @Describe('List audit events', { response: AuditEventPage })
  @Can('read', AuditEvent)
  async listAuditEvents(
    @Caller() caller: Principal,
    @Ability() ability: AppAbility,
    @Query({ schema: ListQuery }) { limit, cursor, ...filters }: z.output<typeof ListQuery>,
  ) {
    const context = JSON.stringify([caller.tenantId, caller.id, filters]);
    const query = this.dataSource
      .createQueryBuilder(AuditEvent, 'event')
      .where(filters)
      .orderBy('event.seq', 'DESC')
      .limit(limit + 1);
    if (cursor !== undefined)
      query.andWhere('event.seq < :seq', { seq: readCursor(this.cursorKey, cursor, context).id });
    const found = await accessibleBy(query, ability, 'read').getMany();
    const rows = found.slice(0, limit);
    const last = found.length > limit ? rows.at(-1) : undefined;
    await this.log.record({
      event: 'sensitive_read',
      actor: caller,
      target: 'audit',
      // A filter that matches nothing may be a secret typed into the wrong field, so it is not recorded.
      details: { ...(rows.length && filters), events: rows.length },
    });
    return {
      items: rows.map((row) => AuditEventView.parse(row)),
      nextCursor: last ? writeCursor(this.cursorKey, { value: last.seq, id: last.seq }, context) : null,
    };
  }
}
