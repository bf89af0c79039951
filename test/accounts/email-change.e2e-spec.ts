import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { AccountToken } from '../../src/accounts/account-token.entity.js';
import { AuditEvent } from '../../src/audit/audit-event.entity.js';
import { UserEmail } from '../../src/users/user-email.entity.js';
import { User } from '../../src/users/user.entity.js';
import { boot, client, type Booted, type TestResponse } from '../support/app.js';
import { INVALID, codeOf, newAccount, signedInAs, visible } from './accounts.js';
import { mailedToken, mailsTo } from './mails.js';
import { statementsOf } from './statements.js';

const OLD_SIGN_IN = new Date(Date.now() - 6 * 60_000);

describe('the profile', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await boot()));
  afterAll(() => booted.close());

  it('shows the account, and changes its name only', async () => {
    const { id, address } = await newAccount(booted.db);
    const me = signedInAs(booted, id);
    const profile = {
      ...{ id, username: id, name: null, tenantId: 'acme', roles: ['viewer'] },
      ...{ email: address, emailVerified: true },
    };
    expect((await me.get('/account')).body).toEqual(profile);
    const changed = await me.send('PATCH', '/account', { body: { name: ' Erin Example ' } });
    expect([changed.status, changed.body]).toEqual([200, { ...profile, name: 'Erin Example' }]);
    for (const body of [{ roles: ['admin'] }, { name: 'x', username: 'root' }, { name: '\u202e' }, {}])
      expect((await me.send('PATCH', '/account', { body })).status).toBe(422);
    expect((await me.send('PATCH', '/account', { body: { name: null } })).body).toEqual(profile);
    expect(await booted.db.manager.findOneBy(AuditEvent, { target: `user:${id}` })).toMatchObject({
      event: 'sensitive_update',
      userId: id,
      details: { field: 'name' },
    });
  });
});

describe('a change of the e-mail address', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await boot()));
  afterAll(() => booted.close());

  let id: string;
  let address: string;
  let newAddress: string;
  beforeEach(async () => {
    await booted.db.sql`DELETE FROM login_failures`;
    ({ id, address } = await newAccount(booted.db));
    newAddress = `new-${address}`;
  });

  const request = (email = newAddress, account = id) =>
    signedInAs(booted, account).post('/account/email', { email });
  const confirm = (token: string) => client(booted.origin).post('/auth/email/confirm', { token });
  const tokens = async () => {
    expect((await request()).status).toBe(202);
    return { old: await mailedToken(booted, address), new: await mailedToken(booted, newAddress) };
  };
  const email = async (userId = id) => (await booted.db.manager.findOneBy(UserEmail, { userId }))?.address;

  it.each([['old', 'new'] as const, ['new', 'old'] as const])(
    'happens when both addresses are confirmed, first the %s one',
    async (first, second) => {
      const links = await tokens();
      expect((await mailsTo(booted, address))[0]!.text).toContain(newAddress);
      expect((await confirm(links[first])).body).toEqual({ status: 'waiting' });
      expect(await email()).toBe(address);
      const done = await confirm(links[second]);
      expect([done.status, done.body]).toEqual([200, { status: 'changed' }]);
      expect(await booted.db.manager.findOneBy(UserEmail, { userId: id })).toMatchObject({
        address: newAddress,
        verifiedAt: expect.any(Date),
      });
      for (const to of [address, newAddress])
        expect((await mailsTo(booted, to))[0]!.subject).toBe('Auth Atlas: address changed');
      expect(await booted.db.manager.findBy(AuditEvent, { target: `user:${id}` })).toHaveLength(2);
    },
  );

  it('needs the new address only, if the account has no verified one', async () => {
    await booted.db.manager.update(UserEmail, { userId: id }, { verifiedAt: null });
    expect((await request()).status).toBe(202);
    expect(await mailsTo(booted, address)).toEqual([]);
    expect((await confirm(await mailedToken(booted, newAddress))).body).toEqual({ status: 'changed' });
    expect(await email()).toBe(newAddress);
  });

  it('verifies an address that an operator has stored', async () => {
    await booted.db.manager.update(UserEmail, { userId: id }, { verifiedAt: null });
    const me = signedInAs(booted, id);
    expect((await me.post('/account/email/verification')).status).toBe(202);
    const token = await mailedToken(booted, address);
    expect((await me.get('/account')).body.emailVerified).toBe(false);
    expect((await confirm(token)).body).toEqual({ status: 'verified' });
    expect((await me.get('/account')).body.emailVerified).toBe(true);
    expect(codeOf(await confirm(token))).toEqual(INVALID);
    expect(codeOf(await me.post('/account/email/verification'))).toEqual([409, 'email_already_verified']);
    await booted.db.manager.delete(UserEmail, { userId: id });
    expect((await me.post('/account/email/verification')).status).toBe(404);
  });

  describe('attacks', () => {
    it('requires a sign-in of the last five minutes', async () => {
      const proof = { method: 'test', at: OLD_SIGN_IN, amr: ['pwd'], bound: false, signIn: true } as const;
      const late = signedInAs(booted, id, { proofs: [proof] });
      expect(codeOf(await late.post('/account/email', { email: newAddress }))).toEqual([
        403,
        'reauthentication_required',
      ]);
      expect(await mailsTo(booted, newAddress)).toEqual([]);
    });

    it('does not happen by one address, however often its link is opened', async () => {
      for (const side of ['old', 'new'] as const) {
        const links = await tokens();
        expect((await confirm(links[side])).body).toEqual({ status: 'waiting' });
        expect(codeOf(await confirm(links[side]))).toEqual(INVALID);
        expect(await email()).toBe(address);
      }
    });

    it('does not combine the confirmations of two requests', async () => {
      const first = await tokens();
      await confirm(first.old);
      newAddress = `newer-${address}`;
      const second = await tokens();
      expect(codeOf(await confirm(first.new))).toEqual(INVALID);
      expect((await confirm(second.new)).body).toEqual({ status: 'waiting' });
      expect(await email()).toBe(address);
    });

    it('rejects expired tokens, also if the other one was used in time', async () => {
      const links = await tokens();
      await confirm(links.old);
      const expiresAt = new Date(Date.now() - 1);
      await booted.db.manager.update(AccountToken, { address: newAddress }, { expiresAt });
      expect(codeOf(await confirm(links.new))).toEqual(INVALID);
      expect(await email()).toBe(address);
    });

    it('does not happen if an operator has changed the address in the meantime', async () => {
      const links = await tokens();
      await confirm(links.old);
      await booted.db.manager.update(UserEmail, { userId: id }, { address: `operator-${address}` });
      expect(codeOf(await confirm(links.new))).toEqual(INVALID);
    });

    it('does not happen in a disabled account', async () => {
      const links = await tokens();
      await booted.db.manager.update(User, { id }, { disabledAt: new Date() });
      expect(codeOf(await confirm(links.old))).toEqual(INVALID);
    });

    it('happens once when both links are opened 10 times at the same time', async () => {
      const links = await tokens();
      const all = Array.from({ length: 10 }, () => [confirm(links.old), confirm(links.new)]).flat();
      const statuses = (await Promise.all(all)).map(({ body }) => body.status as string);
      expect(statuses.filter((each) => each === 'changed')).toHaveLength(1);
      expect(statuses.filter((each) => each === 'waiting')).toHaveLength(1);
      expect(await email()).toBe(newAddress);
    });

    it('gives an address to one of two accounts that confirm it', async () => {
      const other = await newAccount(booted.db);
      const links = await tokens();
      expect((await request(newAddress, other.id)).status).toBe(202);
      const others = {
        old: await mailedToken(booted, other.address),
        new: await mailedToken(booted, newAddress),
      };
      await confirm(links.old);
      await confirm(others.old);
      const results = await Promise.all([confirm(links.new), confirm(others.new)]);
      expect(results.map(({ status }) => String(status)).toSorted()).toEqual(['200', '400']);
      expect([await email(), await email(other.id)].filter((each) => each === newAddress)).toHaveLength(1);
    });

    it('responds and works the same for an address that is taken, and mails its holder', async () => {
      const responses: TestResponse[] = [];
      const statements = [];
      for (const to of ['alice@acme.example', newAddress])
        statements.push(await statementsOf(booted, async () => responses.push(await request(to))));
      expect(statements[1]).toEqual(statements[0]);
      expect(visible(responses[1]!)).toEqual(visible(responses[0]!));
      const [mail] = await mailsTo(booted, 'alice@acme.example');
      expect(mail!.subject).toBe('Auth Atlas: you have an account');
      expect(mail!.text).not.toMatch(/https?:|token/);
    });

    it('ends a password reset that was mailed to the old address', async () => {
      const reset = (token: string) =>
        client(booted.origin).post('/auth/password-reset/complete', {
          token,
          new_password: 'seventeen purple kettles',
        });
      await client(booted.origin).post('/auth/password-reset', { email: address });
      const early = await mailedToken(booted, address);
      const links = await tokens();
      await confirm(links.old);
      await client(booted.origin).post('/auth/password-reset', { email: address });
      const late = await mailedToken(booted, address);
      await confirm(links.new);
      for (const token of [early, late]) expect(codeOf(await reset(token))).toEqual(INVALID);
    });

    it("rejects a reset whose address is no longer the account's", async () => {
      await client(booted.origin).post('/auth/password-reset', { email: address });
      const token = await mailedToken(booted, address);
      await booted.db.manager.update(UserEmail, { userId: id }, { address: newAddress });
      const body = { token, new_password: 'seventeen purple kettles' };
      expect(codeOf(await client(booted.origin).post('/auth/password-reset/complete', body))).toEqual(
        INVALID,
      );
    });

    it('rejects the present address and look-alikes of addresses', async () => {
      for (const to of [address, address.toUpperCase(), 'alice＠acme.example', 'x@аcme.example'])
        expect((await request(to)).status).toBe(422);
    });

    it('limits the mails to the old and to the new mailbox', async () => {
      for (let i = 0; i < 5; i++) expect((await request(`new-${i}-${address}`)).status).toBe(202);
      expect(codeOf(await request())).toEqual([429, 'too_many_mails']);
    });
  });
});
