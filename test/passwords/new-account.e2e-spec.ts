import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
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

  it.each([
    ['spaces around it', '  Zo\u00eb Example ', 'Zo\u00eb Example'],
    ['a decomposed letter', 'Zoe\u0308 Example', 'Zo\u00eb Example'],
    ['an emoji with a variation selector', 'Zo\u00eb \u2764\ufe0f', 'Zo\u00eb \u2764\ufe0f'],
    ['the greatest length', '\u{1f600}'.repeat(100), '\u{1f600}'.repeat(100)],
  ])('has its display name in the canonical form: %s', async (_, name, stored) => {
    const id = await add({ username: `named-${randomUUID()}`, name });
    expect((await booted.db.manager.findOneByOrFail(User, { id })).name).toBe(stored);
  });

  it('has no display name if none is given', async () => {
    const id = await add({ username: 'nameless' });
    expect((await booted.db.manager.findOneByOrFail(User, { id })).name).toBeNull();
  });

  it.each([
    ['an empty', ''],
    ['a blank', ' \u00a0 '],
    ['a long', 'x'.repeat(101)],
    ['an invisible', '\u3164'],
    ...Object.entries({
      'a control character': '\u0007',
      'a line break': '\n',
      'a line separator': '\u2028',
      'a paragraph separator': '\u2029',
      'a bidirectional override': '\u202e',
      'a bidirectional isolate': '\u2066',
      'a zero-width space': '\u200b',
      'a byte order mark': '\ufeff',
      'a private character': '\ue000',
      'an unassigned character': '\u0378',
      'an unpaired surrogate': '\ud800',
    }).flatMap(([what, character]) => [
      [`${what} in its`, `Peter${character}Example`],
      [`${what} after its`, `Peter${character}`],
    ]),
  ])('is not created with %s display name', async (_, name) => {
    const before = await counts();
    await expect(add({ username: 'milton', name })).rejects.toThrow(/^A name has 1 to 100 characters/);
    expect(await counts()).toEqual(before);
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
    [
      'a password with the e-mail address in it',
      { username: 'milton', email: 'stapler@initech.example', password: 'milt has a red stapler' },
      /^The password is too weak\. Must not contain the e-mail address\.$/,
    ],
  ])('is not created for %s', async (_, changes, sentence) => {
    const before = await counts();
    await expect(add(changes)).rejects.toThrow(sentence);
    expect(await counts()).toEqual(before);
  });
});
