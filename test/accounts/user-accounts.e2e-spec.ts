import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { In } from 'typeorm';
import { AuditEvent } from '../../src/audit/audit-event.entity.js';
import { AccountAdministration } from '../../src/authentication/ports.js';
import type { Principal, Role } from '../../src/authentication/principal.js';
import { Tenant, User } from '../../src/users/user.entity.js';
import { boot, type Booted } from '../support/app.js';
import { allContracts, send } from '../support/contracts.js';
import { codeOf, newAccount, signedInAs } from './accounts.js';

const contracts = await allContracts();

describe('the accounts of people', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await boot()));
  afterAll(() => booted.close());

  const alice = (more: Partial<Principal> = {}) => signedInAs(booted, 'alice', { roles: ['admin'], ...more });
  const change = (id: string, body: object, caller = alice()) =>
    caller.send('PATCH', `/accounts/${id}`, { body });
  const row = (id: string) => booted.db.manager.findOneByOrFail(User, { id });
  const lastEvent = (id: string) =>
    booted.db.manager.findOne(AuditEvent, { where: { target: `user:${id}` }, order: { seq: 'DESC' } });
  /** A tenant with administrators of its own, and a client of one of them. */
  const newTenant = async (admins: number) => {
    const tenantId = randomUUID();
    await booted.db.manager.insert(Tenant, { id: tenantId, name: tenantId });
    const ids: string[] = [];
    for (let i = 0; i < admins; i++) {
      const { id } = await newAccount(booted.db, { roles: ['admin'] });
      await booted.db.manager.update(User, { id }, { tenantId });
      ids.push(id);
    }
    return { ids, as: (id: string) => signedInAs(booted, id, { tenantId, roles: ['admin'] }) };
  };

  it('are listed by username in pages, with those of the own tenant only and without machines', async () => {
    const { body } = await alice().get('/accounts?limit=2');
    expect(body.items.map(({ id }: { id: string }) => id)).toEqual(['alice', 'bob']);
    const next = await alice().get(`/accounts?limit=2&cursor=${body.nextCursor}`);
    expect(next.body).toEqual({
      items: [
        {
          ...{ id: 'carol', username: 'carol', name: 'Carol Example', kind: 'user' },
          ...{ tenantId: 'acme', roles: ['viewer'], disabledAt: null },
        },
        expect.objectContaining({ id: 'dave' }),
      ],
      nextCursor: null,
    });
  });

  it.each(contracts.filter(({ endsWithSignIns }) => !endsWithSignIns))(
    'are disabled with their credentials by an administrator, and enabled again: $name',
    async ({ issue }) => {
      const credential = await issue(booted, 'bob');
      const status = async () => (await send(credential, `${booted.origin}/me`)).status;
      expect(await status()).toBe(200);
      expect((await change('bob', { disabled: true })).body).toMatchObject({
        id: 'bob',
        disabledAt: expect.any(String),
      });
      expect(await status()).toBe(401);
      expect(await lastEvent('bob')).toMatchObject({ userId: 'alice', details: { disabled: true } });
      expect((await change('bob', { disabled: false })).body).toMatchObject({ disabledAt: null });
      expect(await status()).toBe(200);
    },
  );

  it('get roles from an administrator, from the next request on', async () => {
    const { id } = await newAccount(booted.db);
    const { status, body } = await change(id, { roles: ['editor', 'auditor', 'editor'] });
    expect([status, body.roles]).toEqual([200, ['editor', 'auditor']]);
    expect(await lastEvent(id)).toMatchObject({ event: 'authz_change', userId: 'alice' });
  });

  it.each([[{}], [{ roles: [] }], [{ roles: ['root'] }], [{ password: 'x' }], [{ tenantId: 'globex' }]])(
    'are not changed by %j',
    async (body) => {
      expect((await change('carol', body)).status).toBe(422);
    },
  );

  describe('attacks', () => {
    it.each([{ disabled: true }, { roles: ['editor'] }])(
      'keeps the last administrator of a tenant: %j',
      async (body) => {
        const { ids, as } = await newTenant(2);
        const [first, second] = ids as [string, string];
        expect((await change(second, body, as(first))).status).toBe(200);
        const before = await row(first);
        expect(codeOf(await change(first, body, as(first)))).toEqual([409, 'last_admin']);
        expect(await row(first)).toEqual(before);
        // A disabled administrator is none, and an administrator may keep the role.
        expect((await change(first, { roles: ['admin', 'editor'] }, as(first))).status).toBe(200);
      },
    );

    it('keeps one of two administrators who demote each other at the same time', async () => {
      for (let round = 0; round < 10; round++) {
        const { ids, as } = await newTenant(2);
        const [first, second] = ids as [string, string];
        const demotion = { roles: ['viewer'] };
        await Promise.all([change(second, demotion, as(first)), change(first, demotion, as(second))]);
        const left = await booted.db.manager.findBy(User, { id: In(ids) });
        expect(left.filter(({ roles }) => roles.includes('admin'))).toHaveLength(1);
      }
    });

    it.each<[string, Partial<Principal>]>([
      ['an administrator with scopes', { scopes: ['documents:read'] }],
      ["an administrator's key", { proofs: [{ method: 'test', at: new Date(), amr: [], bound: true }] }],
      ...(['editor', 'viewer', 'auditor'] as Role[]).map((role): [string, Partial<Principal>] => [
        `an account with the role ${role}`,
        { roles: [role] },
      ]),
    ])('rejects %s', async (_, limits) => {
      const caller = alice(limits);
      expect((await caller.get('/accounts')).status).toBe(403);
      expect((await change('bob', { disabled: true }, caller)).status).toBe(403);
      expect((await row('bob')).disabledAt).toBeNull();
    });

    it('does not change a machine account, or one of another tenant', async () => {
      for (const id of ['acme-machine', 'mallory', randomUUID()])
        expect((await change(id, { disabled: true })).status).toBe(404);
      expect((await row('mallory')).disabledAt).toBeNull();
    });

    it('lets no administrator manage the credentials of a person', async () => {
      const administration = booted.app.get(AccountAdministration, { strict: false });
      const { id, kind, tenantId, roles } = await row('alice');
      const proof = { method: 'test', at: new Date(), amr: ['pwd'], bound: false, signIn: true } as const;
      const caller: Principal = { id, kind, tenantId, roles, proofs: [proof] };
      expect(administration.mayManage(caller, await row('acme-machine'))).toBe(true);
      for (const person of ['bob', 'alice', 'mallory'])
        expect(administration.mayManage(caller, await row(person))).toBe(false);
    });
  });
});
