import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DemoDataService, DemoPart } from '../../src/database/demo-data.service.js';
import type { EntityManager } from 'typeorm';
import { Tenant, User } from '../../src/users/user.entity.js';
import { UsersDemo } from '../../src/users/users.demo.js';
import { boot, type Booted } from '../support/app.js';

describe('the demo data', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await boot({ env: { DEMO: 'false' } })));
  afterAll(() => booted.close());

  const demo = (settings: { demo: boolean }) => new DemoDataService(booted.db, settings as never);
  const on = () => demo({ demo: true });
  const off = () => demo({ demo: false });
  const make = (id: string) =>
    on().once(id, async (manager: EntityManager) => void (await manager.insert(Tenant, { id, name: id })));
  const tenants = () => booted.db.manager.countBy(Tenant, {});

  it('is not created if it is off', async () => {
    await off().once('off', () => Promise.reject(new Error('it was made')));
    for (const entity of [DemoPart, Tenant, User]) expect(await booted.db.manager.exists(entity)).toBe(false);
  });

  it.each(['an account', 'a tenant'])('has no account in a database that holds %s', async (what) => {
    const { manager } = booted.db;
    await manager.insert(Tenant, { id: 'own', name: 'own' });
    const account = { id: 'root', tenantId: 'own', username: 'root', kind: 'user' } as const;
    if (what === 'an account')
      await manager.insert(User, { ...account, roles: ['admin'], disabledAt: null, epoch: 0 });
    await new UsersDemo(on()).onModuleInit();
    expect(await manager.countBy(Tenant, {})).toBe(1);
    expect(await manager.exists(DemoPart)).toBe(false);
    await manager.deleteAll(User);
    await manager.deleteAll(Tenant);
  });

  it('is checked where it is off, which starts on a database without it', async () => {
    await expect(off().onModuleInit()).resolves.toBeUndefined();
  });

  it('is created once per part, also by two processes at once, and not again after a deletion', async () => {
    await Promise.all([make('part'), make('part')]);
    expect(await tenants()).toBe(1);
    await booted.db.manager.deleteAll(Tenant);
    await make('part');
    expect(await tenants()).toBe(0);
    await make('another');
    expect(await tenants()).toBe(1);
  });

  it('is not created in a database of others, neither now nor in a later part', async () => {
    const service = on();
    expect(await service.once('of others', () => Promise.resolve(false as const))).toBe(false);
    expect(await service.once('later', () => Promise.reject(new Error('it was made')))).toBe(false);
    expect(service.exists).toBe(false);
    expect(await booted.db.manager.exists(DemoPart, { where: { name: 'of others' } })).toBe(false);
  });

  it('is created at the next start if a part failed before', async () => {
    const failing = on().once('half', async (manager: EntityManager) => {
      await manager.insert(Tenant, { id: 'half', name: 'half' });
      throw new Error('half-way');
    });
    await expect(failing).rejects.toThrow('half-way');
    await make('half');
    expect(await booted.db.manager.countBy(Tenant, { id: 'half' })).toBe(1);
  });

  it('prevents a start without it on a database that contains any part of it', async () => {
    await expect(off().onModuleInit()).rejects.toThrow('This database contains the demo accounts');
    await expect(on().onModuleInit()).resolves.toBeUndefined();
  });
});
