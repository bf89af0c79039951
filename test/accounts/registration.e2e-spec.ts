import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { AccountToken } from '../../src/accounts/account-token.entity.js';
import { AuditEvent } from '../../src/audit/audit-event.entity.js';
import { PasswordsService } from '../../src/passwords/passwords.service.js';
import { UserEmail } from '../../src/users/user-email.entity.js';
import { User } from '../../src/users/user.entity.js';
import { boot, client, type Booted, type TestResponse } from '../support/app.js';
import { mailedToken, mailsTo } from './mails.js';
import { statementsOf } from './statements.js';

const PASSWORD = 'seventeen purple kettles';
const INVALID = [400, 'invalid_mailed_token'];

describe('a registration', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await boot()));
  afterAll(() => booted.close());

  let username: string;
  let email: string;
  beforeEach(async () => {
    username = `new-${randomBytes(4).toString('hex')}`;
    email = `${username}@new.example`;
    await booted.db.sql`DELETE FROM login_failures`;
  });

  const post = (path: string, body: object) => client(booted.origin).post(path, body);
  const register = (more: object = {}) => post('/auth/register', { email, ...more });
  const complete = (token: string, more: object = {}) =>
    post('/auth/register/complete', { token, password: PASSWORD, username, ...more });
  const requestToken = async (more: object = {}) => {
    expect((await register(more)).status).toBe(202);
    return mailedToken(booted, email);
  };
  const codeOf = ({ status, body }: TestResponse) => [status, body.code];
  const countUsers = () => booted.db.manager.count(User);

  it('creates a viewer of the configured tenant after a mailed link, and does not sign in', async () => {
    const before = await countUsers();
    const registered = await register({ email: email.toUpperCase(), name: ' Erin Example ' });
    expect([registered.status, registered.body]).toEqual([202, '']);
    expect(await countUsers()).toBe(before);
    const [mail] = await mailsTo(booted, email);
    expect(mail!.text).toMatch(/\n\nhttp:\/\/localhost:\d+\/account\/register\?token=[\w-]{43}\n\n/);

    const { status, body, headers } = await complete(await mailedToken(booted, email));
    expect([status, body, headers.get('set-cookie')]).toEqual([
      201,
      { id: expect.any(String), username, tenantId: 'acme' },
      null,
    ]);
    expect(await booted.db.manager.findOneBy(User, { id: body.id })).toMatchObject({
      ...{ username, tenantId: 'acme', kind: 'user', roles: ['viewer'] },
      ...{ name: 'Erin Example', disabledAt: null, mfaSince: null },
    });
    expect(await booted.db.manager.findOneBy(UserEmail, { userId: body.id })).toMatchObject({
      address: email,
      verifiedAt: expect.any(Date),
    });
    const passwords = booted.app.get(PasswordsService, { strict: false });
    expect((await passwords.verify(username, PASSWORD, '192.0.2.1')).id).toBe(body.id);
    expect(await booted.db.manager.findOneBy(AuditEvent, { target: `user:${body.id}` })).toMatchObject({
      event: 'sensitive_create',
      userId: body.id,
    });
  });

  it('uses the address as username if none is given', async () => {
    const { body } = await complete(await requestToken(), { username: undefined });
    expect(body.username).toBe(email);
  });

  it('requires a username if the address cannot be one', async () => {
    email = `${username}+tag@new.example`;
    const token = await requestToken();
    const { status, body } = await complete(token, { username: undefined });
    expect([status, body.errors[0].field]).toEqual([422, 'username']);
    expect((await complete(token)).status).toBe(201);
  });

  describe('attacks', () => {
    it('responds, works and mails the same number of mails for an address that is taken', async () => {
      const responses: TestResponse[] = [];
      const statements = [];
      for (const address of ['alice@acme.example', email])
        statements.push(
          await statementsOf(booted, async () => responses.push(await register({ email: address }))),
        );
      expect(statements[1]).toEqual(statements[0]);
      const visible = ({ status, body, headers }: TestResponse) => {
        const { date: _, 'x-request-id': __, ...others } = Object.fromEntries(headers);
        return { status, body, others };
      };
      expect(visible(responses[1]!)).toEqual(visible(responses[0]!));
      expect(await mailsTo(booted, email)).toHaveLength(1);
    });

    it.each(['alice@acme.example', 'ALICE@Acme.Example', ' alice@acme.example\t'])(
      'mails the holder of %j that it is taken, without a link',
      async (address) => {
        expect((await register({ email: address })).status).toBe(202);
        const [mail] = await mailsTo(booted, 'alice@acme.example');
        expect(mail!.subject).toBe('Auth Atlas: you have an account');
        expect(mail!.text).not.toMatch(/https?:|token/);
      },
    );

    it('rejects a token that was used, replaced, expired or guessed', async () => {
      const first = await requestToken();
      const second = await requestToken();
      expect(codeOf(await complete(first))).toEqual(INVALID);
      expect(codeOf(await complete(randomBytes(32).toString('base64url')))).toEqual(INVALID);
      await booted.db.manager.update(
        AccountToken,
        { address: email },
        { expiresAt: new Date(Date.now() - 1) },
      );
      expect(codeOf(await complete(second))).toEqual(INVALID);
      const third = await requestToken();
      const { body } = await complete(third);
      // Otherwise the unique address would reject the second use.
      await booted.db.manager.update(UserEmail, { userId: body.id }, { address: `other-${email}` });
      expect(codeOf(await complete(third, { username: `${username}-2` }))).toEqual(INVALID);
    });

    it('creates one account in 20 concurrent requests with one token', async () => {
      const token = await requestToken();
      const before = await countUsers();
      const all = Array.from({ length: 20 }, (_, i) => complete(token, { username: `${username}-${i}` }));
      const created = (await Promise.all(all)).filter(({ status }) => status === 201);
      expect([created.length, (await countUsers()) - before]).toEqual([1, 1]);
    });

    it('does not accept the token of a password reset, and a reset not that of a registration', async () => {
      await post('/auth/password-reset', { email: 'bob@acme.example' });
      expect(codeOf(await complete(await mailedToken(booted, 'bob@acme.example')))).toEqual(INVALID);
      const body = { token: await requestToken(), new_password: PASSWORD };
      expect(codeOf(await post('/auth/password-reset/complete', body))).toEqual(INVALID);
    });

    it('rejects the token if another account has got the address in the meantime', async () => {
      const token = await requestToken();
      const before = await countUsers();
      const { address } = await booted.db.manager.findOneByOrFail(UserEmail, { userId: 'dave' });
      await booted.db.manager.update(UserEmail, { userId: 'dave' }, { address: email });
      expect(codeOf(await complete(token))).toEqual(INVALID);
      await booted.db.manager.update(UserEmail, { userId: 'dave' }, { address });
      expect(await countUsers()).toBe(before);
      expect((await complete(token)).status).toBe(201);
    });

    it.each([
      ['a common password', { password: 'password password' }, 'password'],
      ['a short password', { password: 'x7$kQ!p' }, 'password'],
      ['the name of the service', { password: 'my Auth Atlas login' }, 'password'],
      ["another person's address as username", { username: 'alice@acme.example' }, 'username'],
      ['a username in another alphabet', { username: 'аlice' }, 'username'],
    ])('rejects %s, and accepts the token afterwards', async (_, more, field) => {
      const token = await requestToken();
      const { status, body } = await complete(token, more);
      expect([status, body.code, body.errors[0].field]).toEqual([422, 'invalid_body', field]);
      expect((await complete(token)).status).toBe(201);
    });

    it('rejects the local part of the address as a part of the password', async () => {
      const token = await requestToken();
      const { body } = await complete(token, { password: `the ${username} again`, username: 'somebody' });
      expect(body.errors).toEqual([{ field: 'password', message: 'Must not contain the e-mail address.' }]);
    });

    it('rejects a username that is taken, ten times for each token', async () => {
      const token = await requestToken();
      for (let i = 0; i < 10; i++)
        expect(codeOf(await complete(token, { username: 'Bob' }))).toEqual([409, 'username_taken']);
      expect(codeOf(await complete(token, { username: 'Bob' }))).toEqual([429, 'too_many_attempts']);
    });

    it('grants no role, tenant or verified address of the request', async () => {
      for (const more of [{ roles: ['admin'] }, { tenantId: 'globex' }, { verifiedAt: new Date() }]) {
        expect((await register(more)).status).toBe(422);
        expect((await complete('x', more)).status).toBe(422);
      }
    });

    it('rejects a name that hides or reorders text', async () => {
      for (const name of ['\u202eevil', 'a\nb', '', '\u200b'])
        expect((await register({ name })).status).toBe(422);
    });
  });
});

describe('the setting REGISTRATION', () => {
  const codes = async (
    env: Record<string, string>,
    paths = ['/auth/register', '/auth/register/complete'],
  ) => {
    const booted = await boot({ env });
    const bodies: Record<string, object[]> = {
      '/auth/register': [{ email: 'alice@acme.example' }, { email: 'nobody@new.example' }],
      '/auth/register/complete': [{ token: 'x', password: PASSWORD }],
    };
    const found = [];
    for (const path of paths)
      for (const body of bodies[path]!) {
        const response = await client(booted.origin).post(path, body);
        found.push(response.body.code ?? response.status);
      }
    await booted.close();
    return found;
  };
  const closed = 'registration_closed';

  it('closes registration for everyone alike', async () => {
    expect(await codes({ REGISTRATION: 'closed' })).toEqual([closed, closed, closed]);
    expect(await codes({ REGISTRATION: 'invitation' })).toEqual([closed, closed, 'invalid_mailed_token']);
  });

  it('is closed by default outside the demo', async () => {
    expect(await codes({ DEMO: 'false' })).toEqual([closed, closed, closed]);
  });

  it('is open only with a tenant', async () => {
    await expect(codes({ DEMO: 'false', REGISTRATION: 'open' })).rejects.toThrow(
      'REGISTRATION_TENANT is required if REGISTRATION is open.',
    );
    await expect(codes({ REGISTRATION_TENANT: 'No Tenant' })).rejects.toThrow('REGISTRATION_TENANT must be');
    const env = { DEMO: 'false', REGISTRATION: 'open', REGISTRATION_TENANT: 'people' };
    expect(await codes(env)).toEqual([202, 202, 'invalid_mailed_token']);
  });
});
