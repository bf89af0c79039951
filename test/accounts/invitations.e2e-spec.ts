import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { randomBytes, randomUUID } from 'node:crypto';
import { AccountToken } from '../../src/accounts/account-token.entity.js';
import { UserEmail } from '../../src/users/user-email.entity.js';
import { User } from '../../src/users/user.entity.js';
import { boot, client, type Booted, type TestResponse } from '../support/app.js';
import { INVALID, codeOf, newAccount, signedInAs, visible } from './accounts.js';
import { mailedToken, mailsTo } from './mails.js';
import { statementsOf } from './statements.js';

const PASSWORD = 'seventeen purple kettles';

describe('an invitation', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await boot({ env: { REGISTRATION: 'invitation' } })));
  afterAll(() => booted.close());

  let inviter: string;
  let username: string;
  let email: string;
  beforeEach(async () => {
    await booted.db.sql`DELETE FROM login_failures`;
    inviter = (await newAccount(booted.db, { roles: ['admin'] })).id;
    username = `invited-${randomBytes(4).toString('hex')}`;
    email = `${username}@new.example`;
  });

  const admin = (id = inviter) => signedInAs(booted, id, { roles: ['admin'] });
  const mallory = () => signedInAs(booted, 'mallory', { tenantId: 'globex', roles: ['admin'] });
  const invite = (more: object = {}) => admin().post('/invitations', { email, role: 'editor', ...more });
  const invitedToken = async () => {
    expect((await invite()).status).toBe(201);
    return mailedToken(booted, email);
  };
  const accept = (token: string, more: object = {}) =>
    client(booted.origin).post('/auth/register/complete', { token, username, password: PASSWORD, ...more });
  const ids = async (caller = admin()) =>
    (await caller.get('/invitations')).body.items.map(({ id }: { id: string }) => id) as string[];

  it('creates an account with its role in the tenant of the inviter', async () => {
    const invited = await invite({ email: email.toUpperCase() });
    expect([invited.status, invited.body]).toEqual([
      201,
      {
        id: expect.any(String),
        email,
        role: 'editor',
        createdAt: expect.any(String),
        expiresAt: expect.any(String),
      },
    ]);
    expect(await ids()).toContain(invited.body.id);
    const [mail] = await mailsTo(booted, email);
    expect(mail!.text).toMatch(/administrator of acme invites you, with the role editor\./);
    const { status, body } = await accept(await mailedToken(booted, email));
    expect([status, body.tenantId]).toEqual([201, 'acme']);
    expect(await booted.db.manager.findOneBy(User, { id: body.id })).toMatchObject({
      username,
      tenantId: 'acme',
      roles: ['editor'],
    });
    expect(await booted.db.manager.findOneBy(UserEmail, { address: email })).toMatchObject({
      userId: body.id,
    });
    expect(await ids()).not.toContain(invited.body.id);
  });

  it('is valid for seven days', async () => {
    const token = await invitedToken();
    const row = await booted.db.manager.findOneByOrFail(AccountToken, { address: email });
    expect(row.expiresAt.getTime() - row.createdAt.getTime()).toBe(7 * 24 * 60 * 60_000);
    await booted.db.manager.update(AccountToken, { id: row.id }, { expiresAt: new Date(Date.now() - 1) });
    expect(codeOf(await accept(token))).toEqual(INVALID);
    expect(await ids()).not.toContain(row.id);
  });

  it('can be revoked by another administrator of the tenant', async () => {
    const { id } = (await invite()).body;
    const token = await mailedToken(booted, email);
    expect((await admin('alice').send('DELETE', `/invitations/${id}`)).status).toBe(204);
    expect(codeOf(await accept(token))).toEqual(INVALID);
    expect((await admin().send('DELETE', `/invitations/${id}`)).status).toBe(404);
  });

  it('replaces an earlier one to the same address', async () => {
    const first = await invitedToken();
    const second = await invitedToken();
    expect(codeOf(await accept(first))).toEqual(INVALID);
    expect((await accept(second)).status).toBe(201);
  });

  describe('attacks', () => {
    it('is accepted once', async () => {
      const token = await invitedToken();
      const all = Array.from({ length: 10 }, (_, i) => accept(token, { username: `${username}-${i}` }));
      const created = (await Promise.all(all)).filter(({ status }) => status === 201);
      expect(created).toHaveLength(1);
      await booted.db.manager.update(UserEmail, { address: email }, { address: `other-${email}` });
      expect(codeOf(await accept(token))).toEqual(INVALID);
    });

    it('creates an account for its own address and with its own role only', async () => {
      const token = await invitedToken();
      for (const more of [{ email: 'other@new.example' }, { role: 'admin' }, { roles: ['admin'] }])
        expect((await accept(token, more)).status).toBe(422);
      expect((await accept(token, { username: 'other@new.example' })).status).toBe(422);
    });

    it.each<[string, (id: string) => Promise<unknown>]>([
      ['was demoted', (id) => booted.db.manager.update(User, { id }, { roles: ['editor'] })],
      ['was disabled', (id) => booted.db.manager.update(User, { id }, { disabledAt: new Date() })],
      ['was deleted', (id) => booted.db.manager.delete(User, { id })],
    ])('ends if the inviter %s in the meantime', async (_, change) => {
      const token = await invitedToken();
      await change(inviter);
      expect(codeOf(await accept(token))).toEqual(INVALID);
      expect(await booted.db.manager.existsBy(User, { username })).toBe(false);
    });

    it('is not shown to, revoked or replaced by another tenant', async () => {
      const token = await invitedToken();
      const { id } = await booted.db.manager.findOneByOrFail(AccountToken, { address: email });
      expect(await ids(mallory())).toEqual([]);
      expect((await mallory().send('DELETE', `/invitations/${id}`)).status).toBe(404);
      expect((await mallory().post('/invitations', { email, role: 'admin' })).status).toBe(201);
      expect((await accept(token)).body.tenantId).toBe('acme');
    });

    it('responds and works the same for an address that is taken in another tenant', async () => {
      const responses: TestResponse[] = [];
      const statements = [];
      for (const to of ['mallory@globex.example', email])
        statements.push(await statementsOf(booted, async () => responses.push(await invite({ email: to }))));
      expect(statements[1]).toEqual(statements[0]);
      const [taken, free] = responses.map(visible);
      const { id, createdAt, expiresAt } = taken!.body;
      expect({
        ...free,
        body: { ...free!.body, id, createdAt, expiresAt, email: taken!.body.email },
      }).toEqual({
        ...taken,
        others: { ...taken!.others, 'content-length': free!.others['content-length'] },
      });
      const [mail] = await mailsTo(booted, 'mallory@globex.example');
      expect(mail!.subject).toBe('Auth Atlas: you have an account');
      expect(mail!.text).not.toMatch(/https?:|token|acme/);
    });

    it('is not created with an unknown role, or for a look-alike address', async () => {
      for (const more of [{ role: 'root' }, { role: ['admin'] }, { email: 'x@аcme.example' }])
        expect((await invite(more)).status).toBe(422);
      expect((await admin().send('DELETE', `/invitations/${randomUUID()}`)).status).toBe(404);
    });
  });
});

describe('invitations while registration is closed', () => {
  it('are neither created nor accepted', async () => {
    const booted = await boot({ env: { REGISTRATION: 'closed' } });
    const alice = signedInAs(booted, 'alice', { roles: ['admin'] });
    expect(codeOf(await alice.post('/invitations', { email: 'x@new.example', role: 'viewer' }))).toEqual([
      403,
      'registration_closed',
    ]);
    await booted.close();
  });
});
