import { Global, Module } from '@nestjs/common';
import type { Schema } from '../database/columns.js';
import { AuditEvent, AuditHead } from './audit-event.entity.js';
import { AuditLog } from './audit-log.service.js';
import { AuditController } from './audit.controller.js';
import { Audit1700000301000 } from './audit.migration.js';
import { RejectedRequestsListener } from './rejected-requests.listener.js';

export const auditSchema: Schema = { entities: [AuditEvent, AuditHead], migrations: [Audit1700000301000] };

@Global()
@Module({
  controllers: [AuditController],
  providers: [AuditLog, RejectedRequestsListener],
  exports: [AuditLog],
})
export class AuditModule {}
