import type { DataSource } from 'typeorm';

/**
 * The column type of a moment in UTC. The databases do not share one, and an entity must name it when its class is
 * made, before any setting is read.
 */
export const DATE_COLUMN = process.env['DATABASE_URL'] ? 'timestamptz' : 'datetime';

/** For a migration: a foreign key to an `id`, whose row goes with the one that it refers to. */
export const foreignKey = (column: string, table: string) => ({
  columnNames: [column],
  referencedTableName: table,
  referencedColumnNames: ['id'],
  onDelete: 'CASCADE',
});

export const isPostgres = (dataSource: Pick<DataSource, 'options'>) => dataSource.options.type === 'postgres';
