import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { DataSource } from 'typeorm';
import { INSTALLED_METHODS, schemaOf } from '../../src/app.module.js';
import { AuditEvent } from '../../src/audit/audit-event.entity.js';
import { AuditLog } from '../../src/audit/audit-log.service.js';
import { purgeEvents } from '../../src/audit/purge-events.js';
import { verifyChain } from '../../src/audit/verify-chain.js';
import { Settings } from '../../src/config/settings.js';
import { SigningKeys } from '../../src/crypto/signing-keys.service.js';
import { dataSourceOptions, openDataSource } from '../../src/database/data-source.js';
import { HourlyCleanup } from '../../src/database/hourly-cleanup.js';
import { LastUsed } from '../../src/database/last-used.service.js';
import { FailedAttempts } from '../../src/rate-limits/failed-attempts.service.js';
import { as, boot, client, ownDatabase, runSql, type Booted, type OwnDatabase } from '../support/app.js';
import { allContracts, send } from '../support/contracts.js';

const contracts = await allContracts();
const guide = readFileSync('docs/guides/production.md', 'utf8');
const blockAfter = (start: string) =>
  guide
    .slice(guide.indexOf(`\`\`\`text\n${start}`))
    .split('```')[1]!
    .slice('text'.length);
const creation = blockAfter('CREATE ROLE');
const grants = blockAfter('BEGIN;');

it('the guide to production has the statements that create and that grant', () => {
  expect(creation.match(/^\n?CREATE ROLE .*;$/gm)).toHaveLength(2);
  expect(grants.match(/^(GRANT|REVOKE) .*;$/gm)).toHaveLength(4);
});

if (process.env['DATABASE_URL'])
  describe('the two roles of the guide to production', () => {
    let database: OwnDatabase;
    let booted: Booted;
    let migration: DataSource;
    /** Roles belong to the whole server, so the names are this test's own. */
    const named = (sql: string) =>
      sql.replaceAll(/\batlas_/g, `${database.name}_`).replaceAll(/\batlas\b/g, database.name);
    const urlOf = (role: string) => {
      const url = new URL(database.env['DATABASE_URL']!);
      url.username = named(role);
      return url.href;
    };
    const settingsOf = (role: string) =>
      Settings.from({ NODE_ENV: 'test', DEMO: 'true', DATABASE_URL: urlOf(role) });

    beforeAll(async () => {
      database = await ownDatabase();
      await runSql(database.env['DATABASE_URL']!, named(creation));
      const options = dataSourceOptions(settingsOf('atlas_migration'), schemaOf(INSTALLED_METHODS));
      migration = await new DataSource(options).initialize();
      await migration.runMigrations();
      await runSql(urlOf('atlas_migration'), named(grants));
      booted = await boot({ env: { DATABASE_URL: urlOf('atlas_runtime') } });
    });
    afterAll(async () => {
      await booted.close();
      await migration.destroy();
      await database.drop();
      await database.run(named('DROP ROLE atlas_migration; DROP ROLE atlas_runtime'));
    });

    it.each(contracts)(
      'permit the application to issue, accept and revoke credentials of $name',
      async ({ name, issue }) => {
        const credential = await issue(booted, 'bob');
        const status = async () => (await send(credential, `${booted.origin}/demo/${name}`)).status;
        expect(await status()).toBe(200);
        await credential.revoke();
        expect(await status()).toBe(401);
      },
    );

    it('permit everything else that the application does', async () => {
      const bob = client(booted.origin, as({ id: 'bob', roles: ['editor'] }));
      const { status, body } = await bob.post('/documents', { title: 'a draft' });
      expect(status).toBe(201);
      const next = { 'If-Match': '"1"' };
      expect((await bob.send('DELETE', `/documents/${body.id}`, { headers: next })).status).toBe(204);
      const auditor = client(booted.origin, as({ id: 'dave', roles: ['auditor'] }));
      expect((await auditor.get('/audit/events')).status).toBe(200);
      expect((await bob.get('/health/ready')).status).toBe(200);
      expect(await booted.app.get(SigningKeys).rotate()).toBeInstanceOf(Date);
      await booted.app.get(AuditLog).flush();
      await booted.app.get(LastUsed).flush();
      await booted.app.get(FailedAttempts).flush();
      const providers = [...modulesOf(booted)].flatMap((module) => [...module.providers.values()]);
      const cleanups = providers.flatMap(({ instance }) =>
        instance instanceof HourlyCleanup ? [instance] : [],
      );
      expect(cleanups.length).toBeGreaterThan(0);
      for (const cleanup of cleanups) await cleanup.cleanUp();
      expect(await verifyChain(booted.db, settingsOf('atlas_runtime'))).toMatchObject({ valid: true });
    });

    it.each([
      'UPDATE audit_events SET "userId" = NULL',
      'DELETE FROM audit_events',
      'TRUNCATE audit_events',
      'DELETE FROM audit_head',
      "INSERT INTO audit_head VALUES (2, 0, '')",
      'UPDATE audit_head SET id = 2',
      'DELETE FROM migrations',
      'CREATE TABLE mine (id integer)',
      'CREATE TEMPORARY TABLE audit_events (id integer)',
      'CREATE SCHEMA mine',
      'ALTER TABLE audit_events DISABLE TRIGGER ALL',
      'ALTER TABLE audit_events OWNER TO CURRENT_USER',
      'DROP TABLE audit_events',
      'CREATE RULE nothing AS ON INSERT TO audit_events DO INSTEAD NOTHING',
      'GRANT DELETE ON audit_events TO CURRENT_USER',
      'SET ROLE atlas_migration',
    ])('deny the application %s', async (sql) => {
      const before = await migration.manager.find(AuditEvent);
      const denied = booted.db.query(named(sql)).then(
        // A GRANT without the right to grant is a warning.
        () => booted.db.query('DELETE FROM audit_events'),
      );
      await expect(denied).rejects.toThrow(/permission denied|must be owner/);
      expect(await migration.manager.find(AuditEvent)).toEqual(before);
    });

    it('permit only the role of the migrations to purge events', async () => {
      const later = new Date(Date.now() + 60_000);
      const settings = settingsOf('atlas_runtime');
      await expect(purgeEvents(booted.db, settings, later)).rejects.toThrow('permission denied');
      expect(await purgeEvents(migration, settings, later)).toMatchObject({ seq: expect.any(Number) });
      expect(await verifyChain(booted.db, settings)).toMatchObject({ valid: true, events: 1 });
    });

    it('let the application start only after the migrations', async () => {
      await migration.undoLastMigration();
      const options = dataSourceOptions(settingsOf('atlas_runtime'), schemaOf(INSTALLED_METHODS));
      await expect(openDataSource(options)).rejects.toThrow(/permission denied|must be owner/);
      await migration.runMigrations();
    });
  });

const modulesOf = ({ app }: Booted) =>
  (
    app as unknown as {
      container: { getModules(): Map<string, { providers: Map<unknown, { instance: unknown }> }> };
    }
  ).container
    .getModules()
    .values();
