import type { Type } from '@nestjs/common';
import { types } from 'node:util';
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

/**
 * A stored value that cannot be decoded. It is an error (500) and never a missing value: a missing `revokedAt` means
 * "not revoked". The message does not contain the value, because it goes to the log.
 */
export class UnreadableValue extends Error {
  constructor(expected: string) {
    super(`A stored value is not ${expected}.`);
  }
}

/** TypeORM's form on SQLite, and PostgreSQL's with the date style ISO and the time zone UTC. */
const STORED_DATE = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d{1,6})?)(?:\+00)?$/;

/**
 * The date in a column: a Date, or text in UTC.
 * @throws UnreadableValue
 */
export function dateFromRow(value: unknown): Date {
  const [, day, time] = (typeof value === 'string' && STORED_DATE.exec(value)) || [];
  const date = day ? new Date(`${day}T${time}Z`) : value;
  if (!types.isDate(date) || Number.isNaN(date.getTime())) throw new UnreadableValue('a date');
  // `Date` takes the 31st of February for the 3rd of March.
  if (day && date.getUTCDate() !== Number(day.slice(-2))) throw new UnreadableValue('a date');
  return date;
}

/** @throws UnreadableValue */
export const nullableDateFromRow = (value: unknown): Date | null =>
  value === null ? null : dateFromRow(value);

/** A new connection of pg. Its own type has an enum of column types, whose import would load pg on SQLite too. */
interface Connection {
  setTypeParser(type: number, parse: (text: string) => unknown): void;
  query(sql: string): Promise<unknown>;
}

/** The type of `timestamptz` in the PostgreSQL protocol. */
const TIMESTAMPTZ = 1184;

/**
 * Sets the values that this application's queries and decoders require, because the database and the role may set others.
 * Statements, not startup options: poolers reject those. pg's own parser reads an unknown date as null.
 */
export async function prepareConnection(connection: Connection): Promise<void> {
  connection.setTypeParser(TIMESTAMPTZ, dateFromRow);
  await connection.query(
    `SET DateStyle = 'ISO'; SET TimeZone = 'UTC'; SET IntervalStyle = 'postgres'; SET bytea_output = 'hex';
     SET standard_conforming_strings = on; SET default_transaction_isolation = 'read committed'`,
  );
}

/** @throws UnreadableValue */
export function integerFromRow(value: unknown): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) throw new UnreadableValue('an integer');
  return value;
}

/**
 * A parsed list of strings, such as scopes.
 * @throws UnreadableValue
 */
export function stringList(value: unknown): string[] {
  if (!Array.isArray(value) || !value.every((each) => typeof each === 'string'))
    throw new UnreadableValue('a JSON list of strings');
  return value;
}

/**
 * A list of strings in a JSON column that plain SQL has read.
 * @throws UnreadableValue
 */
export const stringsFromRow = (value: unknown): string[] => stringList(parsedJson(value));

/** @throws UnreadableValue */
export const nullableStringsFromRow = (value: unknown): string[] | null =>
  value === null ? null : stringsFromRow(value);

/** @throws UnreadableValue */
export function parsedJson(value: unknown): unknown {
  try {
    return JSON.parse(value as string);
  } catch {
    throw new UnreadableValue('JSON');
  }
}

/** For a decorator: a column with a JSON list of strings. */
export const STRING_LIST_COLUMN = {
  type: 'simple-json',
  transformer: {
    to: (list: unknown) => list,
    from: (list: unknown) => (list === null || list === undefined ? list : stringList(list)),
  },
} as const;
