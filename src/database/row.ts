/** The moment in a column that plain SQL has read: PostgreSQL gives a Date, SQLite the text that TypeORM wrote, in UTC. */
export const instantOf = (value: Date | string): Date =>
  typeof value === 'string' ? new Date(`${value.replace(' ', 'T')}Z`) : value;

/** @see instantOf, for a column that may be empty */
export const instantOrNull = (value: Date | string | null): Date | null =>
  value === null ? null : instantOf(value);
