import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Module } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { Column, Entity, PrimaryColumn, Table, type MigrationInterface, type QueryRunner } from 'typeorm';
import { AuditEvent } from '../../src/audit/audit-event.entity.js';
import { AuditLog } from '../../src/audit/audit-log.service.js';
import type { AuthMethod } from '../../src/authentication/method.js';
import { AccountAdministration } from '../../src/authentication/ports.js';
import { ROTATION, type MethodName, type Principal, type Proof } from '../../src/authentication/principal.js';
import { DATE_COLUMN } from '../../src/database/columns.js';
import { CredentialsService } from '../../src/users/credentials.service.js';
import {
  accountOfActive,
  credentialFinder,
  matchSecret,
  type Credential,
} from '../../src/users/credential.js';
import { as, boot, client, type Booted } from '../support/app.js';

const BADGE = 'badge' as MethodName;

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
  @Column({ type: 'varchar', length: 10, nullable: true }) previousColour!: string | null;
  @Column({ type: DATE_COLUMN, nullable: true }) previousUntil!: Date | null;
  @Column({ type: 'varchar', length: 36, nullable: true }) parentId!: string | null;
}

class Badges1800000000000 implements MigrationInterface {
  name = 'Badges1800000000000';
  async up(runner: QueryRunner): Promise<void> {
    const nullable = ['expiresAt', 'lastUsedAt', 'revokedAt', 'previousUntil'];
    await runner.createTable(
      new Table({
        name: 'badges',
        columns: [
          { name: 'id', type: 'varchar', length: '36', isPrimary: true },
          { name: 'userId', type: 'varchar', length: '36' },
          { name: 'name', type: 'varchar', length: '100' },
          { name: 'colour', type: 'varchar', length: '10' },
          { name: 'scopes', type: 'text', isNullable: true },
          { name: 'previousColour', type: 'varchar', length: '10', isNullable: true },
          { name: 'parentId', type: 'varchar', length: '36', isNullable: true },
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

const proof: Proof = { method: 'test', at: new Date(), amr: ['pwd'], bound: false, signIn: true };
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
  previousColour: null,
  previousUntil: null,
  parentId: null,
  ...more,
});

const httpError = (status: number, code: string) =>
  expect.objectContaining({ status, response: expect.objectContaining({ code }) });

describe('the stored credentials of an account', () => {
  let booted: Booted;
  let own: CredentialsService<Badge>;
  beforeAll(async () => {
    booted = await boot({ methods: [badges, issues] as unknown as AuthMethod[] });
    const { app, db } = booted;
    const audit = app.get(AuditLog, { strict: false });
    const isWithin = (child: Badge, parent: Badge) => child.colour === parent.colour;
    const kind = { kind: 'badge', method: BADGE };
    own = new CredentialsService(db, audit, app.get(AccountAdministration), Badge, { ...kind, isWithin });
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

  /** The principal of a request that carries this badge. */
  const bearerOf = ({ id, userId, scopes }: Badge, more: Partial<Proof> = {}) =>
    user(userId, {
      ...(scopes && { scopes }),
      proofs: [{ method: BADGE, credentialId: id, at: new Date(), amr: [], bound: false, ...more }],
    });
  const limited = httpError(403, 'limited_credential');

  it.each<[string, Partial<Principal>]>([
    ['scopes', { scopes: ['documents:read'] }],
    ['no scopes', { scopes: [] }],
    ['authorization details', { authorizationDetails: [] }],
    ['an OAuth client', { proofs: [{ ...proof, client: 'app' }] }],
    ['a replaced secret', { proofs: [{ ...proof, restricted: true }] }],
    [
      'a credential that is no sign-in',
      { proofs: [{ method: 'test', at: new Date(), amr: [], bound: true }] },
    ],
  ])('are not managed by a caller with %s', async (_, limits) => {
    const row = await own.add(bob, badge(bob));
    const caller = user('bob', limits);
    await expect(own.add(caller, badge(bob))).rejects.toEqual(limited);
    await expect(own.list(caller)).rejects.toEqual(limited);
    await expect(own.find(caller, row.id)).rejects.toEqual(limited);
    await expect(own.revoke(caller, row.id)).rejects.toEqual(limited);
    expect((await own.find(bob, row.id)).revokedAt).toBeNull();
  });

  it('manage themselves and what they created, and nothing else', async () => {
    const parent = await own.add(bob, badge(bob, { scopes: ['documents:read'] }));
    const sibling = await own.add(bob, badge(bob));
    const caller = bearerOf(parent);
    const child = await own.add(caller, badge(bob, { scopes: ['documents:read'], parentId: parent.id }));
    const grandchild = await own.add(
      bearerOf(child),
      badge(bob, { scopes: ['documents:read'], parentId: child.id }),
    );
    await expect(own.find(caller, sibling.id)).rejects.toEqual(limited);
    await expect(own.find(bearerOf(child), parent.id)).rejects.toEqual(limited);
    await expect(own.list(caller)).rejects.toEqual(limited);
    expect((await own.find(caller, grandchild.id)).id).toBe(grandchild.id);
    await own.revoke(caller, child.id);
    await expect(own.find(caller, grandchild.id)).rejects.toEqual(httpError(404, 'not_found'));
    await own.revoke(caller, parent.id);
    expect((await own.find(bob, sibling.id)).revokedAt).toBeNull();
  });

  it('create no credential with more scopes, fewer restrictions, another account or no parent', async () => {
    const parent = await own.add(bob, badge(bob, { scopes: ['documents:read'] }));
    const child = { scopes: ['documents:read'], parentId: parent.id };
    for (const row of [
      badge(bob, { ...child, scopes: null }),
      badge(bob, { ...child, scopes: ['documents:read', 'documents:write'] }),
      badge(bob, { ...child, colour: 'blue' }),
      badge(bob, { ...child, parentId: null }),
    ])
      await expect(own.add(bearerOf(parent), row)).rejects.toEqual(limited);
    const ofAnother = badge(user('carol'), child);
    await expect(own.add(bearerOf(parent), ofAnother)).rejects.toEqual(limited);
    const replaced = bearerOf(parent, { restricted: true });
    await expect(own.add(replaced, badge(bob, child))).rejects.toEqual(limited);
    await expect(own.find(replaced, parent.id)).rejects.toEqual(limited);
    await own.revoke(bob, parent.id);
    await expect(own.add(bearerOf(parent), badge(bob, child))).rejects.toEqual(limited);
  });

  const columns = { current: 'colour', previous: 'previousColour' } as const;

  it('are rotated by one of two concurrent rotations', async () => {
    const row = await own.add(bob, badge(bob));
    const rotateTo = (colour: string) => own.rotateSecret(bob, row.id, columns, colour, 60);
    const results = await Promise.allSettled([rotateTo('green'), rotateTo('blue')]);
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(results).toContainEqual({ status: 'rejected', reason: httpError(409, 'concurrent_rotation') });
    expect(await eventsOf(row.id)).toEqual([
      ['authn_token_created', 'bob', {}],
      ['authn_token_created', 'bob', { rotated: true }],
    ]);
  });

  it('take the credentials that they created with them if they are rotated without an overlap', async () => {
    const parent = await own.add(bob, badge(bob));
    const child = await own.add(bearerOf(parent), badge(bob, { parentId: parent.id }));
    await own.rotateSecret(bob, parent.id, columns, 'red', 60);
    expect((await own.find(bob, child.id)).revokedAt).toBeNull();
    await own.rotateSecret(bob, parent.id, columns, 'green', 0);
    await expect(own.find(bob, child.id)).rejects.toEqual(httpError(404, 'not_found'));
    expect((await eventsOf(child.id)).map(([event]) => event)).toEqual([
      'authn_token_created',
      'authn_token_revoked',
    ]);
  });

  it('change nothing if their secret was replaced after it authenticated the request', async () => {
    const parent = await own.add(bob, badge(bob));
    const caller = bearerOf(parent, { [ROTATION]: null });
    const child = await own.add(caller, badge(bob, { parentId: parent.id }));
    const { previousUntil } = await own.rotateSecret(bob, parent.id, columns, 'green', 60);
    const withParent = { parentId: parent.id, colour: 'green' };
    for (const attempt of [
      own.add(caller, badge(bob, withParent)),
      own.rotateSecret(caller, parent.id, columns, 'blue', 0),
      own.revoke(caller, child.id),
      own.revoke(caller, parent.id),
    ])
      await expect(attempt).rejects.toEqual(limited);
    const current = bearerOf(parent, { [ROTATION]: previousUntil!.getTime() });
    expect((await own.add(current, badge(bob, withParent))).parentId).toBe(parent.id);
    const stored = { current: 'green', previous: 'red', previousUntil };
    expect(matchSecret(stored, (secret) => secret === 'green')).toEqual({
      [ROTATION]: previousUntil!.getTime(),
    });
    expect(matchSecret(stored, (secret) => secret === 'red')).toEqual({ restricted: true });
  });

  it('are limited to a hundred per account, also if they are created at the same time', async () => {
    const carol = user('carol');
    for (let i = 0; i < 97; i++) await own.add(carol, badge(carol));
    const results = await Promise.allSettled(Array.from({ length: 8 }, () => own.add(carol, badge(carol))));
    const rejections = results.flatMap((each) =>
      each.status === 'rejected' ? [each.reason as unknown] : [],
    );
    expect(rejections).toEqual(Array(5).fill(httpError(409, 'too_many_credentials')));
    expect(await own.list(carol)).toHaveLength(100);
    await own.revoke(carol, (await own.list(carol))[0]!.id);
    await own.add(carol, badge(carol));
  });

  it('of a machine account are managed by the administrators of its tenant', async () => {
    const machine = user('acme-machine', { kind: 'client' });
    const alice = user('alice', { roles: ['admin'] });
    const { id } = await own.add(alice, badge(machine));
    expect((await own.list(alice, machine.id)).map((each) => each.id)).toContain(id);
    expect(await eventsOf(id)).toEqual([['authn_token_created', 'alice', { accountId: machine.id }]]);
    const missing = httpError(404, 'not_found');
    const others = [bob, user('mallory', { tenantId: 'globex', roles: ['admin'] })];
    for (const each of others) {
      await expect(own.add(each, badge(machine))).rejects.toEqual(missing);
      await expect(own.list(each, machine.id)).rejects.toEqual(missing);
      await expect(own.revoke(each, id)).rejects.toEqual(missing);
    }
    for (const person of [bob, user('mallory')]) {
      await expect(own.add(alice, badge(person))).rejects.toEqual(missing);
      await expect(own.list(alice, person.id)).rejects.toEqual(missing);
    }
    const scoped = user('alice', { roles: ['admin'], scopes: ['documents:read'] });
    await expect(own.add(scoped, badge(machine))).rejects.toEqual(limited);
    await expect(own.revoke(scoped, id)).rejects.toMatchObject({ status: expect.any(Number) });
    await own.revoke(alice, id);
    expect(await own.list(alice, machine.id)).toEqual([]);
  });

  it('are found with their account in one query, and rejected once revoked or expired', async () => {
    const find = credentialFinder(booted.db, 'badges', []);
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
    const schemas = body.components.schemas as Record<string, object>;
    const hasExpiry = (requestBody: object = {}) => {
      const text = JSON.stringify(requestBody);
      const names = [...text.matchAll(/#\/components\/schemas\/([\w-]+)/g)].map(([, name]) => name!);
      return [text, ...names.map((name) => JSON.stringify(schemas[name]))].some((each) =>
        each.includes('"expiresAt"'),
      );
    };
    return Object.entries(body.paths as Record<string, Record<string, { requestBody?: object }>>).flatMap(
      ([path, operations]) =>
        Object.entries(operations)
          .filter(([, { requestBody }]) => hasExpiry(requestBody))
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
