import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { AuditEvent } from '../../src/audit/audit-event.entity.js';
import type { Principal, Proof } from '../../src/authentication/principal.js';
import { User } from '../../src/users/user.entity.js';
import { as, boot, client, type Booted } from '../support/app.js';
import { allContracts, send } from '../support/contracts.js';

const contracts = await allContracts();
const proof: Proof = { method: 'test', at: new Date(), amr: ['pwd'], bound: false, signIn: true };

describe('machine accounts', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await boot()));
  afterAll(() => booted.close());

  const by = (id: string, more: Partial<Principal> = {}) =>
    client(booted.origin, as({ id, roles: ['admin'], proofs: [proof], ...more }));
  const alice = () => by('alice');
  const mallory = () => by('mallory', { tenantId: 'globex' });
  const newAccount = () => ({ username: `machine-${randomUUID()}`, roles: ['editor'] });
  const create = async () => (await alice().post('/machine-accounts', newAccount())).body as { id: string };
  const row = (id: string) => booted.db.manager.findOneByOrFail(User, { id });
  const disable = (caller: ReturnType<typeof client>, id: string, disabled = true) =>
    caller.send('PATCH', `/machine-accounts/${id}`, { body: { disabled } });
  const lastEvent = (id: string) =>
    booted.db.manager.findOne(AuditEvent, { where: { target: `user:${id}` }, order: { seq: 'DESC' } });

  it("are created by an administrator in the administrator's tenant, with the event", async () => {
    const { username, roles } = newAccount();
    const created = await alice().post('/machine-accounts', { username: username.toUpperCase(), roles });
    expect(created.status).toBe(201);
    const { id } = created.body as { id: string };
    expect(created.body).toEqual({ id, username, kind: 'client', tenantId: 'acme', roles, disabledAt: null });
    expect(await row(id)).toMatchObject({ username, kind: 'client', tenantId: 'acme', roles });
    expect(await lastEvent(id)).toMatchObject({
      event: 'sensitive_create',
      userId: 'alice',
      tenantId: 'acme',
      details: { tenant: 'acme', kind: 'client', roles },
    });
  });

  it('are listed by username in pages, those of the own tenant only', async () => {
    const mine = [await create(), await create(), await create()].map(({ id }) => id);
    const found: { id: string; tenantId: string; kind: string; username: string }[] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const { body } = await alice().get(`/machine-accounts?limit=2${cursor && `&cursor=${cursor}`}`);
      found.push(...body.items);
      cursor = body.nextCursor as string | null;
    }
    expect(found.map(({ id }) => id)).toEqual(expect.arrayContaining([...mine, 'acme-machine']));
    expect(new Set(found.map(({ tenantId, kind }) => `${tenantId} ${kind}`))).toEqual(
      new Set(['acme client']),
    );
    expect(found.map(({ username }) => username)).toEqual(found.map(({ username }) => username).toSorted());
    const other = (await mallory().get('/machine-accounts')).body.items;
    expect(other.map(({ id }: { id: string }) => id)).toEqual(['globex-machine']);
  });

  // A machine account has no sign-in.
  it.each(contracts.filter((contract) => !contract.managesCredentials && !contract.endsWithSignIns))(
    'are disabled with their credentials, and enabled again: $name',
    async ({ issue }) => {
      const { id } = await create();
      const credential = await issue(booted, id);
      const status = async () => (await send(credential, `${booted.origin}/me`)).status;
      expect(await status()).toBe(200);
      expect((await disable(alice(), id)).body).toMatchObject({ id, disabledAt: expect.any(String) });
      expect(await status()).toBe(401);
      expect(await lastEvent(id)).toMatchObject({
        event: 'sensitive_update',
        userId: 'alice',
        details: { disabled: true },
      });
      expect((await disable(alice(), id, false)).body).toMatchObject({ id, disabledAt: null });
      expect(await status()).toBe(200);
    },
  );

  it.each([
    [{}],
    [{ username: 'x' }],
    [{ username: 'x', roles: [] }],
    [{ username: 'x', roles: ['root'] }],
    [{ username: 'ends-in-.', roles: ['editor'] }],
    [{ username: 'bоb', roles: ['editor'] }],
    [{ username: 'x', roles: ['editor'], kind: 'user' }],
    [{ username: 'x', roles: ['editor'], tenantId: 'globex' }],
  ])('are not created from %j', async (body) => {
    expect((await alice().post('/machine-accounts', body)).status).toBe(422);
  });

  it('are not created twice with one username, not even at the same time or in another tenant', async () => {
    const account = newAccount();
    const all = [alice(), alice(), mallory()].map((caller) => caller.post('/machine-accounts', account));
    const statuses = (await Promise.all(all)).map(({ status, body }) => String(body.code ?? status));
    expect(statuses.toSorted()).toEqual(['201', 'username_taken', 'username_taken']);
    expect(await booted.db.manager.countBy(User, { username: account.username })).toBe(1);
    expect((await alice().post('/machine-accounts', { ...account, username: 'bob' })).status).toBe(409);
  });

  describe('attacks', () => {
    const LESSER: Record<string, Partial<Principal>> = {
      'an editor': { roles: ['editor'] },
      'a viewer': { roles: ['viewer'] },
      'an auditor': { roles: ['auditor'] },
      'an administrator with scopes': { scopes: ['documents:read', 'audit:read'] },
      'an administrator with authorization details': {
        authorizationDetails: [{ type: 'document', identifier: 'x', actions: ['read'] }],
      },
      "an administrator's key": { proofs: [{ method: 'test', at: new Date(), amr: ['pop'], bound: true }] },
      "an administrator's replaced secret": { proofs: [{ ...proof, restricted: true }] },
      "an administrator's application": { proofs: [{ ...proof, client: 'web' }] },
    };

    it.each(Object.entries(LESSER))('rejects %s on every route', async (_, limits) => {
      const { id } = await create();
      const caller = by('alice', limits);
      const before = await booted.db.manager.countBy(User, {});
      expect((await caller.get('/machine-accounts')).status).toBe(403);
      expect((await caller.post('/machine-accounts', newAccount())).status).toBe(403);
      expect((await disable(caller, id)).status).toBe(403);
      expect(await booted.db.manager.countBy(User, {})).toBe(before);
      expect((await row(id)).disabledAt).toBeNull();
    });

    it('does not disable a machine account of another tenant, a person or an unknown account', async () => {
      const { id } = await create();
      expect((await disable(mallory(), id)).status).toBe(404);
      for (const other of ['bob', 'alice', 'mallory', 'globex-machine', randomUUID()])
        expect([other, (await disable(alice(), other)).status]).toEqual([other, 404]);
      for (const each of [id, 'bob', 'alice', 'mallory', 'globex-machine'])
        expect([each, (await row(each)).disabledAt]).toEqual([each, null]);
    });
  });
});
