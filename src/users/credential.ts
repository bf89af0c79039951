import type { DataSource } from 'typeorm';
import { z } from 'zod';
import type { BadCredential } from '../authentication/challenge.js';
import { MANAGE_ERRORS, text } from '../authentication/describe.js';
import { ROTATION, type MethodName, type Proof } from '../authentication/principal.js';
import { dateFromRow, nullableDateFromRow, nullableStringsFromRow } from '../database/columns.js';
import { rowFinder, type RowFinder } from '../database/row-finder.js';
import { USERS_TABLE, USER_COLUMNS, userFromRow, type User, type UserRow } from './user.entity.js';
import { SCOPES } from '../permissions.js';

/** The columns that every credential of an account has, besides those of its secret. */
export interface Credential {
  readonly id: string;
  readonly userId: string;
  /** Chosen by the owner. */
  readonly name: string;
  /** Null: no limit but the owner's roles. */
  readonly scopes: string[] | null;
  readonly createdAt: Date;
  readonly expiresAt: Date | null;
  /** To the minute. */
  readonly lastUsedAt: Date | null;
  readonly revokedAt: Date | null;
  /** The credential that created this one and whose revocation ends it, if the kind has children. */
  readonly parentId?: string | null;
  /** Until when the secret before the last rotation is valid, if the kind has secrets. */
  readonly previousUntil?: Date | null;
}

/** The kind of credentials that a service manages. */
export interface CredentialKind<T> {
  /** The name in the audit log and in messages: `hmac-key`. */
  readonly kind: string;
  /** The method whose proofs carry the ids of these credentials. */
  readonly method: MethodName;
  /**
   * Lets a credential create others of its kind, which are revoked with it. Whether a child keeps the expiry and the other
   * restrictions of its parent; the service compares the scopes. Absent: a credential creates no others.
   */
  readonly isWithin?: (child: T, parent: T) => boolean;
}

/** The columns of a secret that can be rotated. */
export interface SecretColumns<T> {
  readonly current: keyof T;
  readonly previous: keyof T;
}

const LATEST_EXPIRY = new Date('9999-12-31T23:59:59.999Z');

/** The fields of a request for a new credential, for `z.strictObject`. */
export const NEW_CREDENTIAL_FIELDS = {
  name: text(100, 1).regex(/\S/).trim(),
  scopes: z.array(z.enum(SCOPES)).max(SCOPES.length).optional(),
  expiresAt: z.iso
    .datetime({ offset: true })
    .meta({ description: 'In the future. The server checks more.' })
    .transform((text) => new Date(text))
    .refine((date) => date > new Date(), 'must lie in the future')
    // The offset may move it into the year 10000, which SQLite and its text comparison cannot store.
    .refine((date) => date <= LATEST_EXPIRY, 'must lie before the year 10000 in UTC')
    .optional(),
  /** A machine account that the caller administers. Absent: the caller's own account. */
  accountId: text(36).optional(),
};

/** A request for a new credential. */
export const CREDENTIAL_EXAMPLE = { name: 'importer', scopes: [SCOPES[0]] };

/** The public columns of a credential, for `z.object`. */
export const CREDENTIAL_VIEW = {
  id: z.string(),
  name: z.string(),
  scopes: z.array(z.string()).nullable(),
  createdAt: z.date(),
  expiresAt: z.date().nullable(),
  lastUsedAt: z.date().nullable(),
};
/** Those of a credential whose secret can be rotated. */
export const SECRET_VIEW = { ...CREDENTIAL_VIEW, previousUntil: z.date().nullable() };

export const ISSUE_ERRORS = [...MANAGE_ERRORS, '409 too_many_credentials'] as const;
export const ROTATE_ERRORS = [...MANAGE_ERRORS, '409 concurrent_rotation'] as const;

/** The query of a list of credentials. */
export const ACCOUNT_QUERY = z.strictObject({ accountId: NEW_CREDENTIAL_FIELDS.accountId });

/** The body of a rotation. The previous secret stays valid for a day, unless the request says otherwise. */
export const ROTATION_SCHEMA = z
  .strictObject({
    overlapSeconds: z
      .int()
      .min(0)
      .max(7 * 86_400)
      .default(86_400),
  })
  .meta({ id: 'Rotation', example: { overlapSeconds: 3_600 } })
  .prefault({});

/** The stored secrets of a credential, as plain SQL reads them. */
export interface StoredSecrets {
  readonly current: string;
  readonly previous: string | null;
  readonly previousUntil: Date | string | null;
}

/** The stored secrets that are valid now: the current one, then the previous one until its overlap ends. */
export function acceptedSecrets({ current, previous, previousUntil }: StoredSecrets): string[] {
  const overlaps = previous !== null && previousUntil !== null && dateFromRow(previousUntil) > new Date();
  return overlaps ? [current, previous] : [current];
}

/**
 * Compares the stored secrets with what a request proves.
 * @returns undefined if none matches; otherwise the members of the proof: a secret that was replaced manages nothing
 */
export function matchSecret(
  stored: StoredSecrets,
  matches: (secret: string) => boolean,
): Pick<Proof, 'restricted' | typeof ROTATION> | undefined {
  const [current, previous] = acceptedSecrets(stored).map(matches);
  if (current) return { [ROTATION]: nullableDateFromRow(stored.previousUntil)?.getTime() ?? null };
  return previous ? { restricted: true } : undefined;
}

/** The columns of a {@link Credential} that authentication needs, with its account, as plain SQL reads them. */
export interface CredentialRow extends UserRow {
  readonly id: string;
  readonly scopes: string | null;
  readonly expiresAt: Date | string | null;
  readonly lastUsedAt: Date | string | null;
  readonly revokedAt: Date | string | null;
}

const COLUMNS = ['id', 'scopes', 'expiresAt', 'lastUsedAt', 'revokedAt'];

/**
 * Finds a credential and its account by the credential's id.
 * @param columns the method's own columns
 */
export function credentialFinder<Row extends CredentialRow>(
  dataSource: DataSource,
  table: string,
  columns: readonly (string & keyof Row)[],
): RowFinder<Row> {
  const names = [...COLUMNS, ...columns].map((column) => `credential."${column}"`);
  const sql =
    `SELECT ${names.join(', ')}, ${USER_COLUMNS} FROM ${table} credential ` +
    `JOIN ${USERS_TABLE} account ON account.id = credential."userId" ` +
    'WHERE credential.id = ?';
  return rowFinder(dataSource, sql);
}

/**
 * The account of an active credential.
 * @param refused makes the method's own error
 * @throws BadCredential if the credential is revoked or expired
 * @throws UnreadableValue
 */
export function accountOfActive(row: CredentialRow, refused: (reason: string) => BadCredential): User {
  const account = userFromRow(row);
  const expiresAt = nullableDateFromRow(row.expiresAt);
  if (nullableDateFromRow(row.revokedAt))
    throw refused(`the credential ${row.id} is revoked`).ofAccount(account);
  if (expiresAt && expiresAt <= new Date())
    throw refused(`the credential ${row.id} has expired`).ofAccount(account);
  return account;
}

/** @throws UnreadableValue */
export const scopesFromRow = ({ scopes }: CredentialRow): string[] | null => nullableStringsFromRow(scopes);
