import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DataSource, type DataSourceOptions } from 'typeorm';
import type { Settings } from '../config/settings.js';
import { isPostgres, type Schema } from './columns.js';
import { serializeTransactions } from './sqlite-transactions.js';

/** The options that the application and TypeORM's command line share. */
export function dataSourceOptions(settings: Settings, schema: Schema): DataSourceOptions {
  const common = {
    entities: [...schema.entities],
    migrations: [...schema.migrations],
    synchronize: false,
    migrationsTransactionMode: 'each' as const,
  };
  if (settings.databaseUrl)
    return {
      ...common,
      type: 'postgres',
      url: settings.databaseUrl,
      // A request that gets no connection fails instead of waiting.
      extra: { connectionTimeoutMillis: 2_000 },
    };
  const memory = settings.dataDir === ':memory:';
  return {
    ...common,
    type: 'better-sqlite3',
    database: memory ? ':memory:' : join(settings.dataDir, 'atlas.sqlite'),
    enableWAL: !memory,
    prepareDatabase: (database: { pragma(text: string): void }) => database.pragma('foreign_keys = ON'),
  };
}

/** Opens the database and runs the migrations. */
export async function openDataSource(options: DataSourceOptions): Promise<DataSource> {
  if (options.type === 'better-sqlite3' && options.database !== ':memory:')
    mkdirSync(join(options.database, '..'), { recursive: true, mode: 0o700 });
  const dataSource = new DataSource(options);
  if (!isPostgres(dataSource)) serializeTransactions(dataSource);
  await dataSource.initialize();
  try {
    await migrate(dataSource);
  } catch (error) {
    await dataSource.destroy();
    throw error;
  }
  return dataSource;
}

/** The key of the advisory lock that lets one process migrate at a time. Any unused number. */
const MIGRATION_LOCK = 7_102_334;

async function migrate(dataSource: DataSource): Promise<void> {
  if (!isPostgres(dataSource)) {
    await dataSource.runMigrations();
    return;
  }
  const lock = dataSource.createQueryRunner();
  try {
    await lock.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK]);
    await dataSource.runMigrations();
  } finally {
    await lock.query('SELECT pg_advisory_unlock($1)', [MIGRATION_LOCK]);
    await lock.release();
  }
}
