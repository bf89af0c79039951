import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Type } from '@nestjs/common';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataSource } from 'typeorm';
import { INSTALLED_METHODS, schemaOf } from '../../src/app.module.js';
import { Settings } from '../../src/config/settings.js';
import { dataSourceOptions, openDataSource } from '../../src/database/data-source.js';
import { Password } from '../../src/passwords/password.entity.js';
import { Tenant, User } from '../../src/users/user.entity.js';
import { UsersEpochDefault1700000500000 } from '../../src/users/users.migration.js';
import { boot, freshDatabase, ownDatabase, type Booted, type OwnDatabase } from '../support/app.js';
import { allContracts, send } from '../support/contracts.js';

const contracts = await allContracts();

it('the migrations create the tables that the entities describe: schema:log prints nothing', async () => {
  const database = await freshDatabase();
  const settings = Settings.from({ NODE_ENV: 'test', DEMO: 'true', DATA_DIR: ':memory:', ...database.env });
  const dataSource = await openDataSource(dataSourceOptions(settings, schemaOf(INSTALLED_METHODS)));
  const { upQueries } = await dataSource.driver.createSchemaBuilder().log();
  expect(upQueries.map(({ query }) => query)).toEqual([]);
  await dataSource.destroy();
  await database.drop();
});

it('the migration that changes the table of accounts keeps every row, and every row that refers to one', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'atlas-'));
  const database = await freshDatabase();
  const settings = Settings.from({ NODE_ENV: 'test', DEMO: 'true', DATA_DIR: folder, ...database.env });
  const { entities, migrations } = schemaOf(INSTALLED_METHODS);
  const before = migrations.filter((migration) => migration !== UsersEpochDefault1700000500000);
  const open = (all: readonly Type[]) =>
    openDataSource(dataSourceOptions(settings, { entities, migrations: all }));
  const older = await open(before);
  const account = {
    id: 'bob',
    kind: 'user' as const,
    roles: ['editor' as const],
    tenantId: 'acme',
    username: 'bob',
    name: 'Bob Example',
    disabledAt: null,
    mfaSince: null,
    epoch: 7,
  };
  const password = { userId: 'bob', hash: '$argon2id$', changedAt: new Date(0) };
  await older.manager.insert(Tenant, { id: 'acme', name: 'Acme' });
  await older.manager.insert(User, account);
  await older.manager.insert(Password, password);
  await older.destroy();
  const newer = await open(migrations);
  expect(await newer.manager.find(User)).toEqual([account]);
  expect(await newer.manager.find(Password)).toEqual([password]);
  await newer.manager.delete(User, { id: 'bob' });
  expect(await newer.manager.find(Password)).toEqual([]);
  await newer.destroy();
  rmSync(folder, { recursive: true });
  await database.drop();
});

if (process.env['DATABASE_URL'])
  describe('a PostgreSQL database with settings of its own', () => {
    let database: OwnDatabase;
    let booted: Booted;
    beforeAll(async () => {
      database = await ownDatabase();
      for (const setting of [
        "datestyle = 'German, DMY'",
        "timezone = 'Asia/Kolkata'",
        "default_transaction_isolation = 'serializable'",
        "intervalstyle = 'iso_8601'",
        "bytea_output = 'escape'",
        'standard_conforming_strings = off',
      ])
        await database.run(`ALTER DATABASE ${database.name} SET ${setting}`);
      booted = await boot({ env: database.env });
    });
    afterAll(async () => {
      await booted.close();
      await database.drop();
    });

    it.each(contracts)('does not revive a revoked credential of $name', async ({ name, issue }) => {
      const credential = await issue(booted, 'bob');
      const call = async () => (await send(credential, `${booted.origin}/demo/${name}`)).status;
      expect(await call()).toBe(200);
      await credential.revoke();
      expect(await call()).toBe(401);
    });

    it.each(['the application', "TypeORM's command line"])(
      'does not change the connections of %s',
      async (who) => {
        const settings = Settings.from({ NODE_ENV: 'test', DEMO: 'true', ...database.env });
        const commandLine = () =>
          new DataSource(dataSourceOptions(settings, schemaOf(INSTALLED_METHODS))).initialize();
        const dataSource = who === 'the application' ? booted.db : await commandLine();
        const [row] = await dataSource.query<Record<string, unknown>[]>(
          `SELECT current_setting('datestyle') AS style, current_setting('timezone') AS zone,
           current_setting('transaction_isolation') AS isolation, timestamptz '2026-12-31 23:59:59.5+00' AS date`,
        );
        expect(row).toEqual({
          style: expect.stringMatching(/^ISO/),
          zone: 'UTC',
          isolation: 'read committed',
          date: new Date('2026-12-31T23:59:59.5Z'),
        });
        if (dataSource !== booted.db) await dataSource.destroy();
      },
    );

    it('fails instead of reading null, if a date style is changed later', async () => {
      const runner = booted.db.createQueryRunner();
      await runner.query("SET datestyle = 'German'");
      await expect(runner.query('SELECT now()')).rejects.toThrow('A stored value is not a date.');
      await runner.query("SET datestyle = 'ISO'");
      await runner.release();
    });
  });
