import type { DataSource } from 'typeorm';

/**
 * The column type of a moment in UTC. The databases do not share one, and an entity must name it when its class is
 * made, before any setting is read.
 */
export const INSTANT = process.env['DATABASE_URL'] ? 'timestamptz' : 'datetime';

export const isPostgres = (dataSource: Pick<DataSource, 'options'>) => dataSource.options.type === 'postgres';
