import type { Booted } from '../support/app.js';

/** Runs `work`, and returns the SQL of its statements without their values. */
export async function statementsOf({ db }: Booted, work: () => Promise<unknown>): Promise<string[]> {
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
