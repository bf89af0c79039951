import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DemoData, DemoPart } from '../../src/database/demo-data.service.js';
import { Tenant, User } from '../../src/users/user.entity.js';
import { boot, type Booted } from '../support/app.js';

describe('the demo', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await boot({ env: { DEMO: 'false' } })));
  afterAll(() => booted.close());

  const demo = (settings: { demo: boolean; production: boolean }) =>
    new DemoData(booted.db, settings as never);
  const on = () => demo({ demo: true, production: false });
  const production = () => demo({ demo: false, production: true });
  const make = (id: string) =>
    on().once(id, async (manager) => void (await manager.insert(Tenant, { id, name: id })));
  const tenants = () => booted.db.manager.countBy(Tenant, {});

  it('is not made where it is off: no part, no account', async () => {
    await demo({ demo: false, production: false }).once('off', () =>
      Promise.reject(new Error('it was made')),
    );
    for (const entity of [DemoPart, Tenant, User]) expect(await booted.db.manager.exists(entity)).toBe(false);
  });

  it('is let alone by production where it was never made', async () => {
    await expect(production().refuseInProduction()).resolves.toBeUndefined();
  });

  it('makes each part once, also of two processes that start together, and never again what was deleted', async () => {
    await Promise.all([make('part'), make('part')]);
    expect(await tenants()).toBe(1);
    await booted.db.manager.deleteAll(Tenant);
    await make('part');
    expect(await tenants()).toBe(0);
    await make('another');
    expect(await tenants()).toBe(1);
  });

  it('makes a part again that failed half-way', async () => {
    const failing = on().once('half', async (manager) => {
      await manager.insert(Tenant, { id: 'half', name: 'half' });
      throw new Error('half-way');
    });
    await expect(failing).rejects.toThrow('half-way');
    await make('half');
    expect(await booted.db.manager.countBy(Tenant, { id: 'half' })).toBe(1);
  });

  it('ACCOUNT-16: keeps production from a database that holds any part of it', async () => {
    await expect(production().refuseInProduction()).rejects.toThrow('This database holds the demo accounts');
    await expect(on().refuseInProduction()).resolves.toBeUndefined();
  });
});
