import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Module } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { Column, Entity, PrimaryColumn, Table, type MigrationInterface, type QueryRunner } from 'typeorm';
import { AuditEvent } from '../../src/audit/audit-event.entity.js';
import { AuditLog } from '../../src/audit/audit-log.service.js';
import type { AuthMethod } from '../../src/authentication/method.js';
import type { Principal, Proof } from '../../src/authentication/principal.js';
import { DATE_COLUMN } from '../../src/database/columns.js';
import { CredentialsService } from '../../src/users/credentials.service.js';
import { accountOfActive, credentialQuery, type Credential } from '../../src/users/credential.js';
import { as, boot, client, type Booted } from '../support/app.js';

@Entity('badges')
class Badge implements Credential {
  @PrimaryColumn({ type: 'varchar', length: 36 }) id!: string;
  @Column({ type: 'varchar', length: 36 }) userId!: string;
  @Column({ type: 'varchar', length: 100 }) name!: string;
  @Column({ type: 'varchar', length: 10 }) colour!: string;
  @Column({ type: 'simple-json', nullable: true }) scopes!: string[] | null;
  @Column({ type: DATE_COLUMN }) createdAt!: Date;
  @Column({ type: DATE_COLUMN, nullable: true }) expiresAt!: Date | null;
  @Column({ type: DATE_COLUMN, nullable: true }) lastUsedAt!: Date | null;
  @Column({ type: DATE_COLUMN, nullable: true }) revokedAt!: Date | null;
}

class Badges1800000000000 implements MigrationInterface {
  name = 'Badges1800000000000';
  async up(runner: QueryRunner): Promise<void> {
    const nullable = ['expiresAt', 'lastUsedAt', 'revokedAt'];
    await runner.createTable(
      new Table({
        name: 'badges',
        columns: [
          { name: 'id', type: 'varchar', length: '36', isPrimary: true },
          { name: 'userId', type: 'varchar', length: '36' },
          { name: 'name', type: 'varchar', length: '100' },
          { name: 'colour', type: 'varchar', length: '10' },
          { name: 'scopes', type: 'text', isNullable: true },
          { name: 'createdAt', type: DATE_COLUMN },
          ...nullable.map((name) => ({ name, type: DATE_COLUMN, isNullable: true })),
        ],
      }),
    );
  }
  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable('badges');
  }
}

@Module({})
class BadgeModule {}

const badges = { name: 'badge', module: BadgeModule, entities: [Badge], migrations: [Badges1800000000000] };
const issues = { name: 'test-issuer', module: class TestIssuerModule {}, issuer: class TestIssuer {} };

const proof: Proof = { method: 'test', at: new Date(), amr: [], bound: false };
const user = (id: string, more: Partial<Principal> = {}): Principal => ({
  id,
  kind: 'user',
  tenantId: 'acme',
  roles: ['editor'],
  proofs: [proof],
  ...more,
});
const bob = user('bob');

const badge = (owner: Principal, more: Partial<Badge> = {}): Badge => ({
  id: randomUUID(),
  userId: owner.id,
  name: 'a badge',
  colour: 'red',
  scopes: null,
  createdAt: new Date(),
  expiresAt: null,
  lastUsedAt: null,
  revokedAt: null,
  ...more,
});

const httpError = (status: number, code: string) =>
  expect.objectContaining({ status, response: expect.objectContaining({ code }) });

describe('the stored credentials of an account', () => {
  let booted: Booted;
  let own: CredentialsService<Badge>;
  beforeAll(async () => {
    booted = await boot({ methods: [badges, issues] as unknown as AuthMethod[] });
    own = new CredentialsService(booted.db, booted.app.get(AuditLog, { strict: false }), Badge, 'badge');
  });
  afterAll(() => booted.close());

  const eventsOf = async (id: string) =>
    (
      await booted.db.manager.find(AuditEvent, { where: { target: `badge:${id}` }, order: { seq: 'ASC' } })
    ).map(({ event, userId, details }) => [event, userId, details]);

  it('are created, listed and revoked by their owner, with an audit event each', async () => {
    const { id } = await own.add(bob, badge(bob));
    expect((await own.list(bob)).map((each) => each.id)).toEqual([id]);
    await own.revoke(bob, id);
    expect(await own.list(bob)).toEqual([]);
    expect(await eventsOf(id)).toEqual([
      ['authn_token_created', 'bob', {}],
      ['authn_token_revoked', 'bob', {}],
    ]);
  });

  it('look missing to other accounts', async () => {
    const { id } = await own.add(bob, badge(bob));
    for (const each of [user('carol'), user('mallory', { tenantId: 'globex', roles: ['admin'] })]) {
      await expect(own.find(each, id)).rejects.toEqual(httpError(404, 'not_found'));
      await expect(own.revoke(each, id)).rejects.toEqual(httpError(404, 'not_found'));
      expect(await own.list(each)).toEqual([]);
    }
    await expect(own.find(bob, randomUUID())).rejects.toEqual(httpError(404, 'not_found'));
    expect((await own.find(bob, id)).revokedAt).toBeNull();
  });

  it('have no more scopes than the credential that creates or revokes them', async () => {
    const reader = user('bob', { scopes: ['documents:read'] });
    expect(own.scopesFor(reader, undefined)).toEqual(['documents:read']);
    expect(own.scopesFor(bob, undefined)).toBeNull();
    const limited = httpError(403, 'limited_credential');
    for (const scopes of [null, ['documents:write'], ['documents:read', 'documents:write']])
      await expect(own.add(reader, badge(bob, { scopes }))).rejects.toEqual(limited);
    const wide = await own.add(bob, badge(bob));
    await expect(own.revoke(reader, wide.id)).rejects.toEqual(limited);
    const narrow = await own.add(reader, badge(bob, { scopes: ['documents:read'] }));
    await own.revoke(reader, narrow.id);
  });

  it('cannot be created with a credential limited by its expiry or addresses', async () => {
    const restricted = user('bob', { proofs: [{ ...proof, restricted: true }] });
    await expect(own.add(restricted, badge(bob))).rejects.toEqual(httpError(403, 'limited_credential'));
  });

  it('are rotated by one of two concurrent rotations', async () => {
    const row = await own.add(bob, badge(bob));
    const rotateTo = (colour: string) => own.rotate(bob, row, { colour: 'red' }, { colour });
    const results = await Promise.allSettled([rotateTo('green'), rotateTo('blue')]);
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(results).toContainEqual({ status: 'rejected', reason: httpError(409, 'concurrent_rotation') });
    expect(await eventsOf(row.id)).toEqual([
      ['authn_token_created', 'bob', {}],
      ['authn_token_created', 'bob', { rotated: true }],
    ]);
  });

  it('are limited to a hundred per account', async () => {
    const carol = user('carol');
    for (let i = 0; i < 100; i++) await own.add(carol, badge(carol));
    await expect(own.add(carol, badge(carol))).rejects.toEqual(httpError(409, 'too_many_credentials'));
    await own.revoke(carol, (await own.list(carol))[0]!.id);
    await own.add(carol, badge(carol));
  });

  it('are found with their account in one query, and rejected once revoked or expired', async () => {
    const find = credentialQuery(booted.db, 'badges', []);
    const rejected = (reason: string) =>
      Object.assign(new Error(reason), { ofAccount: () => new Error(reason) });
    const found = async (more: Partial<Badge>) => {
      const row = badge(bob, more);
      await booted.db.manager.insert(Badge, row);
      return accountOfActive((await find(row.id))!, rejected as never);
    };
    const [past, future] = [new Date(Date.now() - 1), new Date(Date.now() + 60_000)];
    expect(await found({ expiresAt: future })).toMatchObject({
      id: 'bob',
      tenantId: 'acme',
      roles: ['editor'],
    });
    await expect(found({ revokedAt: past })).rejects.toThrow(/is revoked$/);
    await expect(found({ expiresAt: past })).rejects.toThrow(/has expired$/);
    expect(await find(randomUUID())).toBeUndefined();
  });
});

describe('the expiry of a new credential', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await boot()));
  afterAll(() => booted.close());

  /** The routes whose body has an expiry, from the OpenAPI document. */
  const routes = async () => {
    const { body } = await client(booted.origin).get('/openapi.json');
    return Object.entries(body.paths as Record<string, Record<string, object>>).flatMap(
      ([path, operations]) =>
        Object.entries(operations)
          .filter(([, operation]) => JSON.stringify(operation).includes('"expiresAt"'))
          .map(([method]) => ({ path, method: method.toUpperCase() })),
    );
  };

  it.each([
    '9999-12-31T23:59:59-12:00',
    '9999-12-31T23:59:59.999-00:01',
    '0000-01-01T00:00:00+00:00',
    '0000-01-01T00:00:00+14:00',
    '-000001-01-01T00:00:00Z',
    '+010000-01-01T00:00:00Z',
    '2999-12-31T23:59:59+99:99',
    '2999-02-30T00:00:00Z',
    '2999-12-31',
  ])('is 422 on every route if it is %s', async (expiresAt) => {
    const found = await routes();
    expect(found.length).toBeGreaterThan(0);
    for (const { path, method } of found) {
      const { status, body } = await client(booted.origin, as(bob)).send(method, path, {
        body: { expiresAt },
      });
      expect([path, status, body.code]).toEqual([path, 422, 'invalid_body']);
      expect(body.errors.map(({ field }: { field: string }) => field)).toContain('expiresAt');
    }
  });
});
