import { NoticesService } from '../../src/accounts/notices.service.js';
import { AuditLog } from '../../src/audit/audit-log.service.js';
import { FailedAttempts } from '../../src/rate-limits/failed-attempts.service.js';
import type { Booted } from '../support/app.js';

/** Runs `work`, and returns the SQL of its statements without their values. */
export async function statementsOf({ app, db }: Booted, work: () => Promise<unknown>): Promise<string[]> {
  // Work of earlier requests that no response waits for.
  for (const service of [NoticesService, AuditLog, FailedAttempts])
    await app.get(service, { strict: false }).flush();
  const original = db.logger;
  const statements: string[] = [];
  db.logger = {
    ...original,
    // The number of an audit event is part of the text.
    logQuery: (sql: string) => void statements.push(sql.replace(/\d+/g, '0')),
    logQueryError() {},
    logQuerySlow() {},
    logSchemaBuild() {},
    logMigration() {},
    log() {},
  };
  await work().finally(() => (db.logger = original));
  return statements;
}
