import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { AuditEvent } from '../../src/audit/audit-event.entity.js';
import { AuditLog } from '../../src/audit/audit-log.service.js';
import { PasswordsService } from '../../src/passwords/passwords.service.js';
import { addAccount, type NewAccount } from '../../src/passwords/add-account.js';
import { Tenant, User } from '../../src/users/user.entity.js';
import { boot, type Booted } from '../support/app.js';

const ACCOUNT: NewAccount = {
  tenant: 'initech',
  username: 'Peter',
  roles: ['admin', 'auditor', 'admin'],
  password: 'no more cover sheets',
};

describe('an account created on the command line', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await boot({ env: { DEMO: 'false' } })));
  afterAll(() => booted.close());

  const add = (changes: Partial<NewAccount> = {}) =>
    addAccount(booted.db, booted.app.get(AuditLog), { ...ACCOUNT, ...changes });
  const counts = async () => [await booted.db.manager.count(Tenant), await booted.db.manager.count(User)];

  it('signs in to an empty database, and is audited without its password', async () => {
    expect(await counts()).toEqual([0, 0]);
    const id = await add();
    const user = await booted.app.get(PasswordsService).verify('peter', ACCOUNT.password, '192.0.2.1');
    expect(user).toMatchObject({
      id,
      tenantId: 'initech',
      roles: ['admin', 'auditor'],
      kind: 'user',
      epoch: 0,
    });
    const events = await booted.db.manager.findBy(AuditEvent, { target: `user:${id}` });
    expect(events.map(({ event }) => event)).toEqual(['sensitive_create']);
    expect(JSON.stringify(events)).not.toContain('cover sheets');
  });

  it('joins an existing tenant', async () => {
    await add({ username: 'samir', roles: ['viewer'] });
    expect(await counts()).toEqual([1, 2]);
  });

  it.each<[string, Partial<NewAccount>, RegExp]>([
    ['a username that is taken, in another case', { username: 'PETER' }, /account with this username/],
    ['an invalid username', { username: 'реter' }, /^A username/],
    ['an invalid tenant', { tenant: 'In itech' }, /^A tenant/],
    ['a weak password', { username: 'milton', password: 'passwordpassword' }, /too weak.*common password/],
    [
      'a password with the username in it',
      { username: 'milton', password: 'milton has a stapler' },
      /too weak/,
    ],
  ])('is not created for %s', async (_, changes, sentence) => {
    const before = await counts();
    await expect(add(changes)).rejects.toThrow(sentence);
    expect(await counts()).toEqual(before);
  });
});
