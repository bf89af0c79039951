/** The moment in a column that plain SQL has read: PostgreSQL gives a Date, SQLite the text that TypeORM wrote, in UTC. */
export const dateFromRow = (value: Date | string): Date =>
  typeof value === 'string' ? new Date(`${value.replace(' ', 'T')}Z`) : value;

/** @see dateFromRow, for a column that may be empty */
export const nullableDateFromRow = (value: Date | string | null): Date | null =>
  value === null ? null : dateFromRow(value);
