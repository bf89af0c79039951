import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DataSource, type DataSourceOptions } from 'typeorm';
import type { Settings } from '../config/settings.js';
import {
  DATE_COLUMN,
  UnreadableValue,
  dateFromRow,
  isPostgres,
  parsedJson,
  prepareConnection,
  type Schema,
} from './columns.js';
import { serializeTransactions, waitWithoutBlocking } from './sqlite-transactions.js';

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
      extra: {
        // A request that gets no connection fails instead of waiting.
        connectionTimeoutMillis: 2_000,
        onConnect: prepareConnection,
      },
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

/** TypeORM reads text as an invalid Date, and `null` in JSON as a missing value. Both are errors here. */
function rejectUnreadableValues({ driver }: DataSource): void {
  const hydrate = driver.prepareHydratedValue.bind(driver);
  driver.prepareHydratedValue = (value: unknown, column) => {
    if (value === null || value === undefined) return hydrate(value, column);
    if (column.type === DATE_COLUMN) return dateFromRow(value);
    if (column.type === 'simple-json') {
      const parsed = parsedJson(value);
      if (typeof parsed !== 'object' || !parsed) throw new UnreadableValue('a JSON object or list');
    }
    return hydrate(value, column);
  };
}

/** Opens the database and runs the migrations. */
export async function openDataSource(options: DataSourceOptions): Promise<DataSource> {
  if (options.type === 'better-sqlite3' && options.database !== ':memory:')
    mkdirSync(join(options.database, '..'), { recursive: true, mode: 0o700 });
  const dataSource = new DataSource(options);
  rejectUnreadableValues(dataSource);
  if (!isPostgres(dataSource)) serializeTransactions(dataSource);
  await dataSource.initialize();
  try {
    await migrate(dataSource);
    if (!isPostgres(dataSource)) waitWithoutBlocking(dataSource);
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
