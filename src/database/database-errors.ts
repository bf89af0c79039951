/**
 * Error codes for which the same request may succeed later, because the database is unreachable, busy, shutting down, out of
 * connections or space, or read-only after a failover:
 *
 * - PostgreSQL (manual, appendix A): the classes 08, 28, 40, 53, 57 and 58, a missing database, a read-only transaction, a
 *   transaction that timed out or failed before, and a lock timeout
 * - SQLite with its extended codes (https://sqlite.org/rescode.html)
 * - Node, while it connects
 */
const UNAVAILABLE_CODES = [
  /^(?:08|28|40|53|57|58)\w{3}$/,
  /^(?:3D000|25006|25P02|25P03|25P04|55P03)$/,
  /^SQLITE_(?:BUSY|LOCKED|FULL|READONLY|IOERR|CANTOPEN|NOMEM|PROTOCOL)(?:_\w+)?$/,
  /^(?:ECONN\w+|EPIPE|ETIMEDOUT|EHOSTUNREACH|EHOSTDOWN|ENETUNREACH|ENETDOWN|ENOTFOUND|EAI_AGAIN|EMFILE|ENFILE)$/,
];

/** Errors without a code: of pg, of better-sqlite3, and of TypeORM after it lost or closed a connection. */
const UNAVAILABLE_MESSAGES =
  /^(?:Connection terminated|timeout exceeded when trying to connect|Query read timeout|Cannot use a pool after|Client (?:was closed|has encountered a connection error) and is not queryable|Driver not Connected|The database connection is not open|Query runner already released)/;

/**
 * Whether the database cannot process the request now. The response is then 503 with `Retry-After`, on every route, and never
 * 401: an unavailable database is not a wrong password.
 */
export const isDatabaseUnavailable = (error: unknown): boolean =>
  error instanceof Error &&
  (UNAVAILABLE_CODES.some((codes) => codes.test(String((error as { code?: unknown }).code))) ||
    UNAVAILABLE_MESSAGES.test(error.message));
