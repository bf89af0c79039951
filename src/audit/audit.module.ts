import { Global, Module } from '@nestjs/common';
import type { Schema } from '../database/index.js';
import { AuditEvent, AuditHead } from './audit-event.entity.js';
import { AuditLog } from './audit-log.js';
import { Audit1700000301000 } from './audit.migration.js';
import { Refusals } from './refusals.js';

export const auditSchema: Schema = { entities: [AuditEvent, AuditHead], migrations: [Audit1700000301000] };

@Global()
@Module({ providers: [AuditLog, Refusals], exports: [AuditLog, Refusals] })
export class AuditModule {}
