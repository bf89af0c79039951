import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { Agent, get } from 'node:http';
import { AuditEvent } from '../../src/audit/audit-event.entity.js';
import { ApiKey } from '../../src/methods/api-key/api-key.entity.js';
import { DEMO_KEY } from '../../src/methods/api-key/api-key.demo.js';
import {
  allowsAddress,
  containsRange,
  hashSecret,
  mintKey,
  newKeyId,
  parseKey,
} from '../../src/methods/api-key/api-key.js';
import { CredentialsService } from '../../src/users/credentials.service.js';
import { acceptedSecrets } from '../../src/users/credential.js';
import { LastUsed } from '../../src/database/last-used.service.js';
import { User } from '../../src/users/user.entity.js';
import { as, boot, client, type TestResponse, type Booted } from '../support/app.js';
import { satisfiesTheContract } from '../method.contract.js';
import { contract } from './api-key.contract.js';

satisfiesTheContract(contract);

describe('api-key', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await boot({ env: { TRUST_PROXY: '127.0.0.1' } })));
  afterAll(() => booted.close());

  /** Bob, authenticated by another method, without limits. */
  const bob = () => client(booted.origin, as({ id: 'bob', roles: ['editor'] }));
  const by = (key: string, more?: Record<string, string>) =>
    client(booted.origin, { 'X-API-Key': key, ...more });
  const issue = async (body: object = {}, who = bob()) => {
    const response = await who.post('/api-keys', { name: 'test', ...body });
    expect(response.status).toBe(201);
    return response.body as { id: string; key: string };
  };
  const row = (id: string) => booted.db.manager.findOneByOrFail(ApiKey, { id });
  const update = (id: string, changes: Partial<ApiKey>) => booted.db.manager.update(ApiKey, { id }, changes);
  const isAccepted = async (key: string) => (await by(key).get('/demo/api-key')).status === 200;

  it('shows the key only when it is issued', async () => {
    const response = await bob().post('/api-keys', { name: 'deploy script', scopes: ['documents:read'] });
    expect(response.body).toMatchObject({
      name: 'deploy script',
      scopes: ['documents:read'],
      expiresAt: null,
    });
    expect(parseKey(response.body.key)?.id).toBe(response.body.id);
    const { body } = await bob().get('/api-keys');
    expect(body.items).toContainEqual(
      expect.objectContaining({ id: response.body.id, name: 'deploy script' }),
    );
    expect(JSON.stringify(body)).not.toContain(parseKey(response.body.key)?.secret);
  });

  it('accepts the key in either header', async () => {
    expect((await by(DEMO_KEY).get('/demo/api-key')).body).toMatchObject({ id: 'bob', kind: 'user' });
    const response = await client(booted.origin, { Authorization: `apikey ${DEMO_KEY}` }).get(
      '/demo/api-key',
    );
    expect(response.body.proofs).toMatchObject([
      { method: 'api-key', credentialId: 'DemoKeyOfBob0000', bound: false },
    ]);
  });

  it("permits only what both its scopes and its owner's roles allow", async () => {
    const reader = await issue({ scopes: ['documents:read'] });
    expect((await by(reader.key).get('/documents')).status).toBe(200);
    expect((await by(reader.key).post('/documents', { title: 'x' })).status).toBe(403);
    const carol = client(booted.origin, as({ id: 'carol', roles: ['viewer'] }));
    const wide = await issue({ scopes: ['documents:read', 'documents:write'] }, carol);
    expect((await by(wide.key).post('/documents', { title: 'x' })).status).toBe(403);
  });

  it('permits nothing but naming its owner if its scopes are empty', async () => {
    const { key } = await issue({ scopes: [] });
    expect(await isAccepted(key)).toBe(true);
    expect((await by(key).get('/documents')).status).toBe(403);
  });

  it('rejects the 101st active key of an account', async () => {
    const dave = client(booted.origin, as({ id: 'dave' }));
    const common = { userId: 'dave', name: 'x', secretHash: hashSecret('x'), createdAt: new Date() };
    const many = Array.from({ length: 100 }, () => ({ ...common, id: newKeyId() }));
    await booted.db.manager.insert(ApiKey, many);
    await update(many[0]!.id, { revokedAt: new Date() });
    await issue({}, dave);
    const { status, body } = await dave.post('/api-keys', { name: 'one more' });
    expect([status, body.code]).toEqual([409, 'too_many_credentials']);
    await issue();
  });

  it('stores when it was last used, to the minute', async () => {
    const { id, key } = await issue();
    const use = async () => {
      await by(key).get('/demo/api-key');
      await booted.app.get(LastUsed).flush();
    };
    await use();
    const first = (await row(id)).lastUsedAt;
    expect(first).toBeInstanceOf(Date);
    await use();
    expect((await row(id)).lastUsedAt).toEqual(first);
    await update(id, { lastUsedAt: new Date(Date.now() - 61_000) });
    await use();
    expect((await row(id)).lastUsedAt!.getTime()).toBeGreaterThan(Date.now() - 30_000);
  });

  it('records its creation, rotation and revocation, and those of its children', async () => {
    const parent = await issue();
    const child = await issue({}, by(parent.key));
    await bob().post(`/api-keys/${parent.id}/rotate`);
    await bob().send('DELETE', `/api-keys/${parent.id}`);
    await bob().send('DELETE', `/api-keys/${parent.id}`);
    const events = async ({ id }: { id: string }) =>
      (
        await booted.db.manager.find(AuditEvent, {
          where: { target: `api-key:${id}` },
          order: { seq: 'ASC' },
        })
      ).map(({ event, userId, method, credentialId, details }) => [
        event,
        userId,
        method,
        credentialId,
        details,
      ]);
    expect(await events(parent)).toEqual([
      ['authn_token_created', 'bob', 'test', null, {}],
      ['authn_token_created', 'bob', 'test', null, { rotated: true }],
      ['authn_token_revoked', 'bob', 'test', null, {}],
    ]);
    expect(await events(child)).toEqual([
      ['authn_token_created', 'bob', 'api-key', parent.id, {}],
      ['authn_token_revoked', 'bob', 'test', null, {}],
    ]);
  });

  it('is not changed if the audit log cannot be written', async () => {
    const { id } = await issue();
    const rows = async () => JSON.stringify(await booted.db.query('SELECT * FROM api_keys ORDER BY id'));
    await booted.app.get(LastUsed).flush();
    const before = await rows();
    await booted.db.query('ALTER TABLE audit_events RENAME TO audit_events_away');
    const statuses = [
      (await bob().post('/api-keys', { name: 'test' })).status,
      (await bob().post(`/api-keys/${id}/rotate`)).status,
      (await bob().send('DELETE', `/api-keys/${id}`)).status,
    ];
    await booted.db.query('ALTER TABLE audit_events_away RENAME TO audit_events');
    expect([statuses, await rows()]).toEqual([[500, 500, 500], before]);
  });

  describe('rotation', () => {
    it('keeps the old secret valid for the overlap only', async () => {
      const old = await issue();
      const { status, body } = await bob().post(`/api-keys/${old.id}/rotate`);
      expect({ status, id: body.id }).toEqual({ status: 201, id: old.id });
      expect([await isAccepted(old.key), await isAccepted(body.key)]).toEqual([true, true]);
      await update(old.id, { previousUntil: new Date() });
      expect([await isAccepted(old.key), await isAccepted(body.key)]).toEqual([false, true]);
    });

    it('ends the old secret at once without an overlap', async () => {
      const old = await issue();
      const { body } = await bob().post(`/api-keys/${old.id}/rotate`, { overlapSeconds: 0 });
      expect([await isAccepted(old.key), await isAccepted(body.key)]).toEqual([false, true]);
    });

    it('keeps at most two secrets after two rotations', async () => {
      const first = await issue();
      const second = (await bob().post(`/api-keys/${first.id}/rotate`)).body.key;
      const third = (await bob().post(`/api-keys/${first.id}/rotate`)).body.key;
      expect([await isAccepted(first.key), await isAccepted(second), await isAccepted(third)]).toEqual([
        false,
        true,
        true,
      ]);
    });

    it('changes nothing if the key was rotated or revoked in the meantime', async () => {
      for (const changes of [{ secretHash: hashSecret('another') }, { revokedAt: new Date() }]) {
        const { id } = await issue();
        const before = await row(id);
        const spy = jest.spyOn(CredentialsService.prototype, 'find').mockImplementationOnce(async () => {
          await update(id, changes);
          return before;
        });
        const { status, body } = await bob().post(`/api-keys/${id}/rotate`);
        spy.mockRestore();
        expect([status, body.code]).toEqual([409, 'concurrent_rotation']);
        expect(await row(id)).toMatchObject({ ...changes, previousHash: null });
      }
    });

    it('leaves two valid secrets after several rotations at once', async () => {
      const { id, key } = await issue();
      const responses = await Promise.all([1, 2, 3, 4].map(() => bob().post(`/api-keys/${id}/rotate`)));
      const won = responses
        .filter((response) => response.status === 201)
        .map((response) => response.body.key as string);
      expect(won.length).toBeGreaterThan(0);
      for (const response of responses.filter((each) => each.status !== 201))
        expect([response.status, response.body.code]).toEqual([409, 'concurrent_rotation']);
      const alive = await Promise.all([key, ...won].map(isAccepted));
      expect(alive.filter(Boolean)).toHaveLength(2);
    });
  });

  describe('revocation', () => {
    it('ends the key and all its children at once', async () => {
      const parent = await issue();
      const child = await issue({}, by(parent.key));
      const grandchild = await issue({}, by(child.key));
      expect((await bob().send('DELETE', `/api-keys/${parent.id}`)).status).toBe(204);
      expect(await Promise.all([parent, child, grandchild].map(({ key }) => isAccepted(key)))).toEqual([
        false,
        false,
        false,
      ]);
      expect((await bob().send('DELETE', `/api-keys/${parent.id}`)).status).toBe(404);
      expect((await bob().post(`/api-keys/${parent.id}/rotate`)).status).toBe(404);
      const { body } = await bob().get('/api-keys');
      expect(body.items.map((item: { id: string }) => item.id)).not.toContain(parent.id);
    });

    it('keeps the time of an earlier revocation', async () => {
      const parent = await issue();
      const child = await issue({}, by(parent.key));
      await update(child.id, { revokedAt: new Date('2020-01-01') });
      await bob().send('DELETE', `/api-keys/${parent.id}`);
      expect((await row(child.id)).revokedAt).toEqual(new Date('2020-01-01'));
    });

    it('creates no child of a key that is being revoked', async () => {
      const parent = await issue();
      // oxlint-disable-next-line typescript/unbound-method -- called with the service as `this` below
      const { parentOf } = CredentialsService.prototype;
      const spy = jest.spyOn(CredentialsService.prototype, 'parentOf').mockImplementationOnce(async function (
        this: CredentialsService<ApiKey>,
        caller,
      ) {
        const found = await parentOf.call(this, caller);
        await update(parent.id, { revokedAt: new Date() });
        return found;
      });
      const response = await by(parent.key).post('/api-keys', { name: 'late' });
      spy.mockRestore();
      expect([response.status, response.body.code]).toEqual([403, 'limited_credential']);
      expect(await booted.db.manager.countBy(ApiKey, { parentId: parent.id })).toBe(0);
    });
  });

  describe('an address list', () => {
    it('accepts its addresses only, also written as IPv6 or with a port', async () => {
      const { key } = await issue({ allowedIps: ['10.0.0.0/8', '2001:db8::/32'] });
      const from = (address: string) => by(key, { 'X-Forwarded-For': address }).get('/demo/api-key');
      expect((await from('10.1.2.3')).status).toBe(200);
      expect((await from('::ffff:10.1.2.3')).status).toBe(200);
      expect((await from('2001:db8::1')).status).toBe(200);
      expect((await from('10.1.2.3:20001')).status).toBe(200);
      expect((await from('[2001:db8::1]:443')).status).toBe(200);
      expect((await from('11.0.0.1:20001')).body.code).toBe('invalid_api_key');
      expect((await from('10.1.2.3, unknown')).body.code).toBe('invalid_api_key');
      expect((await from('11.0.0.1')).body.code).toBe('invalid_api_key');
      expect((await from('2001:db9::1')).status).toBe(401);
    });
  });

  describe('attacks', () => {
    it('ignores a key in the URL', async () => {
      for (const path of [
        `/me?api_key=${DEMO_KEY}`,
        `/me?X-API-Key=${DEMO_KEY}`,
        `/me;key=${DEMO_KEY}`,
        `/me/${DEMO_KEY}`,
      ]) {
        const response = await client(booted.origin).get(path);
        expect([401, 404]).toContain(response.status);
        expect(JSON.stringify(response.body)).not.toContain(DEMO_KEY);
      }
    });

    it('responds alike to an unknown key and a wrong secret', async () => {
      const { id } = await issue();
      const seen = ({ status, headers, body }: TestResponse) => [
        status,
        headers.get('www-authenticate'),
        { ...body, requestId: '' },
      ];
      const wrong = await by(mintKey(id).key).get('/me');
      expect(wrong.body.code).toBe('invalid_api_key');
      expect(seen(wrong)).toEqual(seen(await by(mintKey(newKeyId()).key).get('/me')));
    });

    it('accepts no previous secret without an overlap that lasts', () => {
      const stored = { current: hashSecret('x'), previous: hashSecret('y') };
      for (const secrets of [
        { ...stored, previous: null, previousUntil: new Date(Date.now() + 60_000) },
        { ...stored, previousUntil: null },
        { ...stored, previousUntil: new Date() },
      ])
        expect(acceptedSecrets(secrets)).toEqual([stored.current]);
    });

    it('rejects a key that expires now', async () => {
      const { id, key } = await issue({ expiresAt: new Date(Date.now() + 60_000).toISOString() });
      expect(await isAccepted(key)).toBe(true);
      for (const expiresAt of [new Date(), new Date(Date.now() - 1000)]) {
        await update(id, { expiresAt });
        expect((await by(key).get('/me')).body.code).toBe('invalid_api_key');
      }
    });

    it('rejects changes that would widen a key', async () => {
      const { id, key } = await issue({ scopes: ['documents:read'] });
      const before = await row(id);
      for (const body of [
        { scopes: ['audit:read'] },
        { userId: 'alice' },
        { tenantId: 'globex' },
        { expiresAt: null },
      ])
        expect((await bob().send('PATCH', `/api-keys/${id}`, { body })).status).toBe(405);
      for (const body of [{ scopes: ['audit:read'] }, { userId: 'alice' }])
        expect((await bob().post(`/api-keys/${id}/rotate`, body)).status).toBe(422);
      for (const body of [
        { userId: 'alice' },
        { tenantId: 'globex' },
        { secretHash: 'x' },
        { parentId: null },
      ]) {
        const response = await by(key).post('/api-keys', { name: 'x', ...body });
        expect([response.status, response.body.errors[0].field]).toEqual([422, Object.keys(body)[0]]);
      }
      await booted.app.get(LastUsed).flush();
      expect(await row(id)).toEqual({ ...before, lastUsedAt: expect.any(Date) });
    });

    it('accepts a replaced secret for requests, and lets it manage nothing', async () => {
      const old = await issue();
      const child = (await by(old.key).post('/api-keys', { name: 'child' })).body;
      const renewed = (await by(old.key).post(`/api-keys/${old.id}/rotate`, { overlapSeconds: 60 })).body;
      const before = await row(old.id);
      expect((await by(old.key).get('/me')).status).toBe(200);
      for (const [method, path, body] of [
        ['POST', '/api-keys', { name: 'another child' }],
        ['POST', `/api-keys/${old.id}/rotate`, { overlapSeconds: 0 }],
        ['POST', `/api-keys/${child.id}/rotate`, {}],
        ['DELETE', `/api-keys/${old.id}`, undefined],
        ['DELETE', `/api-keys/${child.id}`, undefined],
      ] as const) {
        const response = await by(old.key).send(method, path, { body });
        expect([method, path, response.status, response.body.code]).toEqual([
          method,
          path,
          403,
          'limited_credential',
        ]);
      }
      expect(await row(old.id)).toMatchObject({ secretHash: before.secretHash, revokedAt: null });
      expect((await row(child.id)).revokedAt).toBeNull();

      await by(renewed.key).post(`/api-keys/${old.id}/rotate`, { overlapSeconds: 0 });
      expect((await by(child.key).get('/me')).status).toBe(401);
    });

    it("rejects a child beyond its parent's scopes, expiry or addresses", async () => {
      const soon = new Date(Date.now() + 3_600_000).toISOString();
      const limited = await issue({
        scopes: ['documents:read'],
        expiresAt: soon,
        allowedIps: ['127.0.0.0/8'],
      });
      const count = () => booted.db.manager.count(ApiKey);
      const before = await count();
      for (const body of [
        { scopes: ['documents:read', 'documents:write'] },
        { expiresAt: new Date(Date.now() + 7_200_000).toISOString() },
        { allowedIps: ['0.0.0.0/0'] },
        { allowedIps: ['127.0.0.1', '10.0.0.1'] },
      ]) {
        const response = await by(limited.key).post('/api-keys', { name: 'x', ...body });
        expect([response.status, response.body.code]).toEqual([403, 'limited_credential']);
      }
      expect(await count()).toBe(before);
      const child = await issue({}, by(limited.key));
      expect(await row(child.id)).toMatchObject({
        scopes: ['documents:read'],
        expiresAt: new Date(soon),
        allowedIps: ['127.0.0.0/8'],
        parentId: limited.id,
      });
    });

    it('rejects rotation and revocation of a wider key', async () => {
      const wide = await issue();
      const narrow = await issue({ scopes: ['documents:read'] });
      const before = await row(wide.id);
      for (const limit of [
        { expiresAt: new Date(Date.now() + 3_600_000).toISOString() },
        { allowedIps: ['127.0.0.0/8'] },
      ]) {
        const limited = by((await issue(limit)).key);
        expect((await limited.post(`/api-keys/${wide.id}/rotate`)).body.code).toBe('limited_credential');
      }
      expect((await by(narrow.key).post(`/api-keys/${wide.id}/rotate`)).body.code).toBe('limited_credential');
      expect((await by(narrow.key).send('DELETE', `/api-keys/${wide.id}`)).body.code).toBe(
        'limited_credential',
      );
      expect(await row(wide.id)).toEqual(before);
      expect((await by(narrow.key).send('DELETE', `/api-keys/${narrow.id}`)).status).toBe(204);
    });

    it("responds 404 to another account's key", async () => {
      const { id, key } = await issue();
      const before = await row(id);
      for (const other of [
        as({ id: 'carol', roles: ['viewer'] }),
        as({ id: 'mallory', tenantId: 'globex', roles: ['admin'] }),
      ]) {
        const who = client(booted.origin, other);
        expect((await who.post(`/api-keys/${id}/rotate`)).body.code).toBe('not_found');
        expect((await who.send('DELETE', `/api-keys/${id}`)).body.code).toBe('not_found');
        expect((await who.get('/api-keys')).body.items.map((item: { id: string }) => item.id)).not.toContain(
          id,
        );
      }
      expect(await row(id)).toEqual(before);
      expect(await isAccepted(key)).toBe(true);
    });

    it("loses a permission with its owner's role", async () => {
      const { key } = await issue({ scopes: ['documents:read', 'documents:write'] });
      const create = () => by(key).post('/documents', { title: randomUUID() });
      expect((await create()).status).toBe(201);
      await booted.db.manager.update(User, { id: 'bob' }, { roles: ['viewer'] });
      expect((await create()).status).toBe(403);
      await booted.db.manager.update(User, { id: 'bob' }, { roles: ['editor'] });
    });

    it('rejects two keys in one request', async () => {
      const { key } = await issue();
      for (const headers of [
        { 'X-API-Key': DEMO_KEY, Authorization: `ApiKey ${key}` },
        { 'X-API-Key': key, Authorization: `ApiKey ${key}` },
        { 'X-API-Key': key, Authorization: 'Bearer x' },
        { 'X-API-Key': key, Authorization: 'Basic eDp5' },
      ]) {
        const response = await client(booted.origin).get('/me', headers);
        expect([response.status, response.body.code]).toEqual([400, 'ambiguous_credentials']);
      }
      const joined = await client(booted.origin).get('/me', { 'X-API-Key': `${key}, ${DEMO_KEY}` });
      expect(joined.status).toBe(401);
    });

    it('stores and lists no secret', async () => {
      const { id, key } = await issue();
      const secret = parseKey(key)!.secret;
      expect((await bob().get(`/api-keys/${id}`)).status).toBe(405);
      const dump = JSON.stringify(await booted.db.query('SELECT * FROM api_keys'));
      expect(dump).toContain(id);
      expect(dump).not.toContain(secret);
      expect((await row(id)).secretHash).toMatch(/^[0-9a-f]{64}$/);
    });

    it('rejects a mistyped key without a query for it', async () => {
      const query = jest.spyOn(booted.db.logger, 'logQuery');
      // The audit log and the last use of other requests are written in the background.
      const lookups = () => query.mock.calls.filter(([sql]) => /FROM api_keys/.test(sql)).length;
      const { secret, id } = parseKey(DEMO_KEY)!;
      const last = DEMO_KEY.at(-1) === '0' ? '1' : '0';
      expect((await by(DEMO_KEY.slice(0, -1) + last).get('/me')).status).toBe(401);
      expect((await by(`atlas_${id}.${secret}0000000`).get('/me')).status).toBe(401);
      expect(lookups()).toBe(0);
      expect((await by(DEMO_KEY).get('/me')).status).toBe(200);
      expect(lookups()).toBe(1);
      query.mockRestore();
    });

    it('rejects abbreviated and ambiguous addresses', async () => {
      for (const range of [
        '010.0.0.1',
        '0x0a.1',
        '10.1',
        '10.0.0.0/33',
        '10.0.0.0/08',
        '10.0.0.0/',
        'fe80::1%eth0',
        '167772161',
        'localhost',
        '',
      ])
        expect((await bob().post('/api-keys', { name: 'x', allowedIps: [range] })).status).toBe(422);
      expect(allowsAddress(['10.0.0.0/8'], '010.0.0.1')).toBe(false);
      expect(allowsAddress(['10.0.0.0/8'], 'fe80::1%eth0')).toBe(false);
      expect(allowsAddress(['::/0'], 'not an address')).toBe(false);
      expect(containsRange('10.0.0.0/8', '10.1.0.0/16')).toBe(true);
      expect(containsRange('10.1.0.0/16', '10.0.0.0/8')).toBe(false);
      expect(containsRange('0.0.0.0/0', '::/0')).toBe(false);
      expect(containsRange('10.0.0.0/8', '10.0.0.0/7')).toBe(false);
      expect(containsRange('10.0.0.0/8', '::ffff:10.0.0.0/8')).toBe(false);
    });

    it('limits guessed keys per address and leaves the owner alone', async () => {
      const api = await boot({ env: { TRUST_PROXY: '127.0.0.1', RATE_LIMIT_BAD_CREDENTIALS: '100' } });
      const call = (key: string, from: string) =>
        client(api.origin, { 'X-API-Key': key, 'X-Forwarded-For': from }).get('/me');
      const agent = new Agent({ keepAlive: true });
      const statusOf = (key: string, from: string) =>
        new Promise<number>((resolve, reject) =>
          get(
            `${api.origin}/me`,
            { agent, headers: { 'X-API-Key': key, 'X-Forwarded-For': from } },
            (response) => response.resume().on('end', () => resolve(response.statusCode!)),
          ).on('error', reject),
        );
      const [attacker, atOnce] = ['203.0.113.66', 20];
      const seen: Record<number, number> = {};
      const guess = async () => {
        for (let i = 0; i < 10_000 / atOnce; i++) {
          const status = await statusOf(mintKey(newKeyId()).key, attacker);
          seen[status] = (seen[status] ?? 0) + 1;
        }
      };
      await Promise.all(Array.from({ length: atOnce }, guess));
      // Requests in progress at the hundredth failure are still verified.
      expect(seen[401]).toBeGreaterThan(100);
      expect(seen[401]).toBeLessThanOrEqual(100 + atOnce);
      expect(seen[429]).toBe(10_000 - seen[401]!);
      expect(await call(DEMO_KEY, attacker)).toMatchObject({
        status: 429,
        body: { code: 'too_many_requests' },
      });
      expect((await call(DEMO_KEY, '203.0.113.67')).status).toBe(200);
      agent.destroy();
      await api.close();
    });

    it('ignores X-Forwarded-For of an untrusted peer', async () => {
      const direct = await boot();
      const { body } = await client(direct.origin, as({ id: 'bob' })).post('/api-keys', {
        name: 'x',
        allowedIps: ['10.0.0.0/8'],
      });
      for (const name of ['X-Forwarded-For', 'X-Real-IP', 'Forwarded', 'CF-Connecting-IP'])
        expect(
          (await client(direct.origin, { 'X-API-Key': body.key, [name]: '10.0.0.1' }).get('/me')).status,
        ).toBe(401);
      await direct.close();
    });
  });
});
