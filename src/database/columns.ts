import type { Type } from '@nestjs/common';
import type { DataSource } from 'typeorm';

/** The entities and migrations of a folder. Classes, not file patterns: only imported tables are installed. */
export interface Schema {
  readonly entities: readonly Type[];
  readonly migrations: readonly Type[];
}

/**
 * The column type of a date. It differs between the databases, and decorators need it when the module is loaded, before
 * the settings are read.
 */
export const DATE_COLUMN = process.env['DATABASE_URL'] ? 'timestamptz' : 'datetime';

/** For a migration: a foreign key to an `id`, with ON DELETE CASCADE. */
export const foreignKey = (column: string, table: string) => ({
  columnNames: [column],
  referencedTableName: table,
  referencedColumnNames: ['id'],
  onDelete: 'CASCADE',
});

export const isPostgres = (dataSource: Pick<DataSource, 'options'>) => dataSource.options.type === 'postgres';

/** The date in a column that plain SQL has read: a Date from PostgreSQL, text in UTC from SQLite. */
export const dateFromRow = (value: Date | string): Date =>
  typeof value === 'string' ? new Date(`${value.replace(' ', 'T')}Z`) : value;

export const nullableDateFromRow = (value: Date | string | null): Date | null =>
  value === null ? null : dateFromRow(value);
