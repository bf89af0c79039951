import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { EntityMetadata } from 'typeorm';
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata.js';
import { AccessToken } from '../../src/access-tokens/access-token.entity.js';
import { INSTALLED_METHODS } from '../../src/app.module.js';
import {
  DATE_COLUMN,
  UnreadableValue,
  dateFromRow,
  integerFromRow,
  nullableDateFromRow,
  nullableStringsFromRow,
  stringsFromRow,
} from '../../src/database/columns.js';
import { acceptedSecrets } from '../../src/users/credential.js';
import { User } from '../../src/users/user.entity.js';
import { boot, type Booted } from '../support/app.js';
import { allContracts, send } from '../support/contracts.js';

const contracts = await allContracts();
const postgres = process.env['DATABASE_URL'] !== undefined;

/** Values that the type of the column admits and that no version of this application has written. */
const UNREADABLE_DATES = postgres ? ['infinity', '-infinity'] : ['', 'never', '31.12.2026 10:00:00', 0];
const UNREADABLE_JSON = ['', 'null', '"admin"', '1', 'documents:read'];

/** The columns that decide whether a credential is accepted, and for what. */
const DECIDING_COLUMNS = [
  ...['revokedAt', 'expiresAt', 'disabledAt', 'retiredAt', 'provedAt', 'authAt', 'lastSeenAt'],
  ...['scopes', 'allowedIps', 'amr'],
];
/** Refreshing an access token reads these, a request with one does not. */
const READ_BY_REFRESH = [
  ...['token_families.scopes', 'token_families.amr', 'token_families.authAt', 'refresh_tokens.expiresAt'],
];
const decides = ({ propertyName, entityMetadata: { target, tableName } }: ColumnMetadata) =>
  (DECIDING_COLUMNS.includes(propertyName) || (propertyName === 'roles' && target === User)) &&
  !READ_BY_REFRESH.includes(`${tableName}.${propertyName}`);
const unreadableOf = ({ type }: ColumnMetadata): readonly unknown[] => {
  if (type === 'simple-json') return UNREADABLE_JSON;
  return type === DATE_COLUMN ? UNREADABLE_DATES : [];
};

/** Taken for an absent value, it would revive a revoked credential or lift a limit. */
describe('a stored value that cannot be decoded', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await boot()));
  afterAll(() => booted.close());

  /** Sets a column of all rows while `work` runs. */
  const withColumn = async <T>(
    { tableName, primaryColumns: [key] }: EntityMetadata,
    column: string,
    value: unknown,
    work: () => Promise<T>,
  ): Promise<T> => {
    const { db } = booted;
    const [one, two] = [0, 1].map((index) => db.driver.createParameter('p', index));
    const id = key!.databaseName;
    const before = await db.query<Record<string, unknown>[]>(
      `SELECT "${id}" AS id, ${postgres ? `"${column}"::text` : `"${column}"`} AS value FROM ${tableName}`,
    );
    await db.query(`UPDATE ${tableName} SET "${column}" = ${one}`, [value]);
    try {
      return await work();
    } finally {
      for (const row of before)
        await db.query(`UPDATE ${tableName} SET "${column}" = ${one} WHERE "${id}" = ${two}`, [
          row['value'],
          row['id'],
        ]);
    }
  };

  const countRows = async ({ target }: EntityMetadata) => booted.db.manager.count(target);

  it.each(contracts)('makes $name respond 500', async ({ name, issue }) => {
    const entities = INSTALLED_METHODS.find((method) => method.name === name)?.entities ?? [];
    const tables = [AccessToken, ...entities].map((entity) => booted.db.getMetadata(entity));
    const before = await Promise.all(tables.map(countRows));
    await issue(booted, 'bob');
    const after = await Promise.all(tables.map(countRows));
    const written = tables.filter((_, i) => after[i]! > before[i]!);
    const responses: Record<string, number> = {};
    for (const table of [booted.db.getMetadata(User), ...written])
      for (const column of table.columns.filter(decides))
        for (const value of unreadableOf(column)) {
          const credential = await issue(booted, 'bob');
          const call = () => send(credential, `${booted.origin}/demo/${name}`);
          const { status } = await withColumn(table, column.databaseName, value, call);
          responses[`${table.tableName}.${column.databaseName} = ${String(value)}`] = status;
        }
    expect(Object.keys(responses).length).toBeGreaterThan(0);
    expect(Object.entries(responses).filter(([, status]) => status !== 500)).toEqual([]);
  });

  it('makes every method reject an account of an unknown kind', async () => {
    for (const { name, issue } of contracts) {
      const credential = await issue(booted, 'bob');
      const call = () => send(credential, `${booted.origin}/demo/${name}`);
      const { status } = await withColumn(booted.db.getMetadata(User), 'kind', 'root', call);
      // The kind is also part of the name in a client certificate.
      expect([401, 500]).toContain(status);
    }
  });

  it('makes a query for an entity fail', async () => {
    for (const { issue } of contracts) await issue(booted, 'bob');
    const read: string[] = [];
    let columns = 0;
    for (const table of booted.db.entityMetadatas)
      for (const column of table.columns.filter((each) => unreadableOf(each).length)) {
        if (!(await countRows(table))) continue;
        columns++;
        const find = () => booted.db.manager.find(table.target).catch((error: Error) => error);
        for (const value of unreadableOf(column)) {
          const found = await withColumn(table, column.databaseName, value, find);
          if (!(found instanceof Error))
            read.push(`${table.tableName}.${column.databaseName} = ${String(value)}`);
        }
      }
    expect(columns).toBeGreaterThan(20);
    expect(read).toEqual([]);
  });

  it.each([
    '',
    'never',
    0,
    false,
    Infinity,
    Number.NaN,
    undefined,
    {},
    new Date(Number.NaN),
    '2026-02-31 00:00:00',
  ])('is an error as a date: %p', (value) => {
    expect(() => dateFromRow(value)).toThrow(UnreadableValue);
    expect(() => nullableDateFromRow(value)).toThrow(UnreadableValue);
    expect(() => acceptedSecrets({ current: 'a', previous: 'b', previousUntil: value as string })).toThrow(
      UnreadableValue,
    );
  });

  it.each(['', 'null', '{}', '"admin"', '[1]', '[null]', 'documents:read', undefined, ['parsed']])(
    'is an error as a list: %p',
    (value) => {
      expect(() => stringsFromRow(value)).toThrow(UnreadableValue);
      expect(() => nullableStringsFromRow(value)).toThrow(UnreadableValue);
    },
  );

  it.each(['1', '', null, undefined, 1.5, Number.NaN, true, 2 ** 53])(
    'is an error as an integer: %p',
    (value) => {
      expect(() => integerFromRow(value)).toThrow(UnreadableValue);
    },
  );
});

describe('a stored value that can be decoded', () => {
  it.each([
    ['2026-11-30 10:20:30.400', '2026-11-30T10:20:30.400Z'],
    ['2026-11-30 10:20:30', '2026-11-30T10:20:30.000Z'],
    ['2026-11-30 10:20:30.400123+00', '2026-11-30T10:20:30.400Z'],
  ])('is the date %s', (text, date) => expect(dateFromRow(text).toISOString()).toBe(date));

  it('is null only if it is null', () => {
    expect([nullableDateFromRow(null), nullableStringsFromRow(null)]).toEqual([null, null]);
  });
});
