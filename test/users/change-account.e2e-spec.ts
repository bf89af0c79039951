import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Like } from 'typeorm';
import { AuditEvent } from '../../src/audit/audit-event.entity.js';
import { AuditLog } from '../../src/audit/audit-log.service.js';
import { DEMO_PASSWORD } from '../../src/users/users.demo.js';
import { PasswordsService } from '../../src/passwords/passwords.service.js';
import { setPassword } from '../../src/passwords/set-password.js';
import { UserEmail } from '../../src/users/user-email.entity.js';
import { User } from '../../src/users/user.entity.js';
import { changeRoles, disableAccount } from '../../src/users/change-account.js';
import { boot, type Booted } from '../support/app.js';
import { allContracts, send } from '../support/contracts.js';
import type { Credential } from '../method.contract.js';

const contracts = await allContracts();

describe('changing an account from the command line', () => {
  let booted: Booted;
  let log: AuditLog;
  beforeAll(async () => {
    booted = await boot();
    log = booted.app.get(AuditLog);
  });
  afterAll(() => booted.close());

  const status = async (credential: Credential, path = '/me') =>
    (await send(credential, booted.origin + path)).status;
  /** The last event about an account. Events of rejected requests may come in between. */
  const lastEvent = () =>
    booted.db.manager.findOne(AuditEvent, { where: { target: Like('user:%') }, order: { seq: 'DESC' } });

  it.each(contracts)(
    'rejects every credential of a disabled account: $name',
    async ({ issue, endsWithSignIns }) => {
      const credential = await issue(booted, 'bob');
      expect(await status(credential)).toBe(200);
      await disableAccount(booted.db, log, 'Bob', true);
      expect(await lastEvent()).toMatchObject({
        event: 'sensitive_update',
        target: 'user:bob',
        details: { disabled: true },
      });
      expect(await status(credential)).toBe(401);
      await disableAccount(booted.db, log, 'bob', false);
      expect(await status(credential)).toBe(endsWithSignIns ? 401 : 200);
      expect(await status(await issue(booted, 'bob'))).toBe(200);
    },
  );

  it('applies new roles from the next request on', async () => {
    const credential = await contracts[0]!.issue(booted, 'carol');
    expect(await status(credential, '/documents/alice-draft-confidential')).toBe(404);
    await changeRoles(booted.db, log, 'carol', ['auditor', 'auditor']);
    expect(await status(credential, '/documents/alice-draft-confidential')).toBe(200);
    expect(await lastEvent()).toMatchObject({
      event: 'authz_change',
      target: 'user:carol',
      details: { roles: ['auditor', 'auditor'] },
    });
    const { roles } = await booted.db.manager.findOneByOrFail(User, { id: 'carol' });
    expect(roles).toEqual(['auditor']);
  });

  it('replaces the password and ends the sign-ins of the account', async () => {
    const verify = (password: string) =>
      booted.app.get(PasswordsService).verify('dave', password, '192.0.2.1');
    const { epoch } = await verify(DEMO_PASSWORD);
    await setPassword(booted.db, log, 'dave', 'tall giraffes read slowly');
    await expect(verify(DEMO_PASSWORD)).rejects.toThrow();
    expect((await verify('tall giraffes read slowly')).epoch).toBe(epoch + 1);
    const event = await lastEvent();
    expect(event).toMatchObject({ event: 'authn_password_change', target: 'user:dave' });
    expect(JSON.stringify(event)).not.toContain('giraffes');
  });

  it.each([
    ['a weak password', () => setPassword(booted.db, log, 'alice', 'passwordpassword'), /too weak/],
    [
      'a password with the e-mail address in it',
      async () => {
        await booted.db.manager.update(UserEmail, { userId: 'carol' }, { address: 'smithers@acme.example' });
        await setPassword(booted.db, log, 'carol', 'the phrase of Smithers');
      },
      /^The password is too weak\. Must not contain the e-mail address\.$/,
    ],
    [
      'an unknown account',
      () => setPassword(booted.db, log, 'nobody', 'tall giraffes read slowly'),
      /No account/,
    ],
    [
      'a password for a machine account',
      () => setPassword(booted.db, log, 'acme-machine', 'tall giraffes read slowly'),
      /Only a user account/,
    ],
    ['disabling an unknown account', () => disableAccount(booted.db, log, 'nobody', true), /No account/],
    ['roles for an unknown account', () => changeRoles(booted.db, log, '', ['admin']), /No account/],
  ])('rejects %s with one sentence, without a change or an audit event', async (_, change, sentence) => {
    const before = [await booted.db.manager.find(User), (await lastEvent())?.seq];
    await expect(change()).rejects.toThrow(sentence);
    expect([await booted.db.manager.find(User), (await lastEvent())?.seq]).toEqual(before);
  });
});
