import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { AccountToken } from '../../src/accounts/account-token.entity.js';
import { PasswordsService } from '../../src/passwords/passwords.service.js';
import { User } from '../../src/users/user.entity.js';
import { boot, type Booted } from '../support/app.js';
import { newAccount, signedInAs } from './accounts.js';
import { CROSS_SITE, open, redirectOf, shown, submit } from './forms.js';
import { mailedToken, mailsTo } from './mails.js';

const PASSWORD = 'seventeen purple kettles';
const INVALID_LINK = {
  status: 400,
  heading: 'This link does not work',
  errors: ['This link is invalid, expired or already used. Request a new one.'],
};

let booted: Booted;
const url = (path: string) => `${booted.origin}/account/${path}`;
/** The tokens that were used up, of all. */
const usedTokens = async () => {
  const tokens = await booted.db.manager.find(AccountToken);
  return { all: tokens.length, used: tokens.filter(({ usedAt }) => usedAt).length };
};
const signsIn = (username: string, password: string) =>
  booted.app
    .get(PasswordsService, { strict: false })
    .verify(username, password, '192.0.2.1')
    .then(
      () => true,
      () => false,
    );

describe('the pages of a forgotten password', () => {
  beforeAll(async () => (booted = await boot()));
  afterAll(() => booted.close());

  let id: string;
  let address: string;
  beforeEach(async () => {
    await booted.db.sql`DELETE FROM login_failures`;
    ({ id, address } = await newAccount(booted.db));
  });
  const request = (email = address, headers = {}) => submit(url('reset-password'), { email }, headers);
  const requestToken = async () => {
    await request();
    return mailedToken(booted, address);
  };
  const complete = (token: string, new_password = PASSWORD, headers = {}) =>
    submit(url('reset-password/complete'), { token, new_password }, headers);

  it('are linked from the sign-in page', async () => {
    expect(await (await open(url('sign-in'))).text()).toContain('href="/account/reset-password"');
    expect(await shown(await open(url('reset-password')))).toEqual({
      ...{ status: 200, heading: 'Reset your password', errors: [] },
    });
  });

  it('mail a link, and set a new password with it', async () => {
    expect(redirectOf(await request())).toEqual([303, '/account/reset-password/sent']);
    const token = await mailedToken(booted, address);
    expect(await shown(await open(url(`reset-password?token=${token}`)))).toMatchObject({
      ...{ status: 200, heading: 'Choose a new password' },
    });
    expect(redirectOf(await complete(token))).toEqual([303, '/account/reset-password/done']);
    expect(await signsIn(id, PASSWORD)).toBe(true);
    for (const page of ['sent', 'done']) expect((await open(url(`reset-password/${page}`))).status).toBe(200);
  });

  it('respond to an unknown address like to a known one', async () => {
    const visible = async (response: Response) => {
      const { date: _, 'x-request-id': __, ...headers } = Object.fromEntries(response.headers);
      return { status: response.status, headers, body: await response.text() };
    };
    const unknown = `nobody-${address}`;
    expect(await visible(await request(unknown))).toEqual(await visible(await request()));
    expect(await mailsTo(booted, unknown)).toEqual([]);
  });

  it('show at the field why a password or an address is rejected, and keep the token usable', async () => {
    expect(await shown(await request('no address'))).toMatchObject({
      ...{ status: 422, errors: ['This is not an e-mail address.'] },
    });
    const token = await requestToken();
    const response = await complete(token, 'short');
    const html = await response.clone().text();
    expect(await shown(response)).toEqual({
      ...{ status: 422, heading: 'Choose a new password', errors: ['Must have at least 15 characters.'] },
    });
    expect(html).toMatch(/aria-invalid="true"\s+aria-describedby="new_password-error/);
    expect(html).not.toContain('value="short"');
    expect(redirectOf(await complete(token))).toEqual([303, '/account/reset-password/done']);
  });

  it('use nothing up when a link is opened, and send its token to no other page', async () => {
    const token = await requestToken();
    const before = await usedTokens();
    for (const method of ['GET', 'HEAD', 'GET']) {
      const opened = await fetch(url(`reset-password?token=${token}`), { method });
      expect([opened.status, opened.headers.get('referrer-policy')]).toEqual([200, 'strict-origin']);
    }
    expect(await usedTokens()).toEqual(before);
    expect((await complete(token)).status).toBe(303);
  });

  it('reject a used, unknown, repeated or missing token with a page', async () => {
    const token = await requestToken();
    await complete(token);
    for (const query of [`token=${token}`, 'token=unknown', 'token=', `token=${token}&token=${token}`]) {
      const response = await open(url(`reset-password?${query}`));
      expect(response.headers.get('referrer-policy')).toBe('strict-origin');
      expect(await shown(response)).toEqual(INVALID_LINK);
    }
    expect(await shown(await complete(token))).toEqual(INVALID_LINK);
    expect(await signsIn(id, PASSWORD)).toBe(true);
  });

  it('reject a token after all sign-ins of the account ended', async () => {
    const token = await requestToken();
    await booted.db.manager.increment(User, { id }, 'epoch', 1);
    expect(await shown(await open(url(`reset-password?token=${token}`)))).toEqual(INVALID_LINK);
    expect(await shown(await complete(token))).toEqual(INVALID_LINK);
  });

  it.each(CROSS_SITE)('reject forms of another site: %j', async (headers) => {
    const token = await requestToken();
    const [mails, tokens] = [await mailsTo(booted, address), await usedTokens()];
    expect((await request(address, headers)).status).toBe(403);
    expect((await complete(token, PASSWORD, headers)).status).toBe(403);
    expect(await mailsTo(booted, address)).toEqual(mails);
    expect(await usedTokens()).toEqual(tokens);
    expect(await signsIn(id, PASSWORD)).toBe(false);
  });

  it('show the limit of mails above the form', async () => {
    for (let i = 0; i < 5; i++) await request();
    const limited = await request();
    expect(Number(limited.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(await shown(limited)).toMatchObject({
      ...{ status: 429, errors: ['Too many mails were requested. Wait an hour, then try again.'] },
    });
  });
});

describe('the pages of a registration', () => {
  beforeAll(async () => (booted = await boot()));
  afterAll(() => booted.close());

  let username: string;
  let email: string;
  beforeEach(async () => {
    await booted.db.sql`DELETE FROM login_failures`;
    username = `new-${randomBytes(4).toString('hex')}`;
    email = `${username}@new.example`;
  });
  const request = (fields = {}, headers = {}) =>
    submit(url('register'), { email, name: '', ...fields }, headers);
  const requestToken = async () => {
    await request({ name: 'Erin Example' });
    return mailedToken(booted, email);
  };
  const complete = (token: string, fields = {}, headers = {}) =>
    submit(url('register/complete'), { token, username, password: PASSWORD, ...fields }, headers);
  const user = () => booted.db.manager.findOneBy(User, { username });

  it('are linked from the sign-in page, and create an account after a mailed link', async () => {
    expect(await (await open(url('sign-in'))).text()).toContain('href="/account/register"');
    expect((await shown(await open(url('register')))).heading).toBe('Create an account');
    expect(redirectOf(await request({ name: 'Erin Example' }))).toEqual([303, '/account/register/sent']);
    const token = await mailedToken(booted, email);
    const page = await open(url(`register?token=${token}`));
    expect([page.status, page.headers.get('referrer-policy')]).toEqual([200, 'strict-origin']);
    // The suggested username.
    expect(await page.text()).toContain(`value="${email}"`);
    expect(await user()).toBeNull();
    expect(redirectOf(await complete(token))).toEqual([303, '/account/register/done']);
    expect(await user()).toMatchObject({ name: 'Erin Example' });
    expect(await signsIn(username, PASSWORD)).toBe(true);
    for (const step of ['sent', 'done']) expect((await open(url(`register/${step}`))).status).toBe(200);
    expect(await shown(await complete(token))).toEqual(INVALID_LINK);
    expect(await shown(await open(url(`register?token=${token}`)))).toEqual(INVALID_LINK);
  });

  it('show each error at its field, and keep the token usable', async () => {
    const invalid = await request({ email: 'no address' });
    expect(await shown(invalid)).toMatchObject({ status: 422, errors: ['This is not an e-mail address.'] });
    expect((await shown(await request({ name: '\u202e' }))).errors).toEqual([
      'Must have 1 to 100 characters, none of them invisible.',
    ]);
    const token = await requestToken();
    for (const [fields, status, error] of [
      [{ password: 'short' }, 422, 'Must have at least 15 characters.'],
      [
        { username: '!' },
        422,
        'Must have 1 to 64 ASCII letters, digits and ._@-, and end in a letter or digit.',
      ],
      [
        { username: '' },
        422,
        'Must have 1 to 64 ASCII letters, digits and ._@-, and end in a letter or digit.',
      ],
      [{ username: 'bob@acme.example' }, 422, 'Must not be another e-mail address.'],
      [{ username: 'bob' }, 409, 'Another account has this username. Choose another one.'],
    ] as const)
      expect(await shown(await complete(token, fields))).toEqual({
        ...{ status, heading: 'Create your account', errors: [error] },
      });
    expect(redirectOf(await complete(token))).toEqual([303, '/account/register/done']);
  });

  it.each(CROSS_SITE)('reject forms of another site: %j', async (headers) => {
    const token = await requestToken();
    expect((await request({}, headers)).status).toBe(403);
    expect((await complete(token, {}, headers)).status).toBe(403);
    expect(await mailsTo(booted, email)).toHaveLength(1);
    expect(await user()).toBeNull();
  });
});

describe.each(['closed', 'invitation'])(
  'the registration pages of a server with REGISTRATION=%s',
  (REGISTRATION) => {
    beforeAll(async () => (booted = await boot({ env: { REGISTRATION } })));
    afterAll(() => booted.close());

    it('say so, and the sign-in page has no link to them', async () => {
      expect(await (await open(url('sign-in'))).text()).not.toContain('/account/register');
      expect((await shown(await open(url('register')))).heading).toBe('Registration is closed');
      const sent = await submit(url('register'), { email: 'erin@new.example', name: '' });
      expect([sent.status, await mailsTo(booted, 'erin@new.example')]).toEqual([403, []]);
      expect(
        (await submit(url('register/complete'), { token: 'x', username: 'x', password: PASSWORD })).status,
      ).toBe(REGISTRATION === 'closed' ? 403 : 400);
    });
  },
);

describe('the page of an invitation', () => {
  beforeAll(async () => (booted = await boot({ env: { REGISTRATION: 'invitation' } })));
  afterAll(() => booted.close());

  it('creates the account with its role', async () => {
    const username = `invited-${randomBytes(4).toString('hex')}`;
    const email = `${username}@new.example`;
    const admin = signedInAs(booted, 'alice', { roles: ['admin'] });
    expect((await admin.post('/invitations', { email, role: 'editor' })).status).toBe(201);
    const token = await mailedToken(booted, email);
    expect((await shown(await open(url(`register?token=${token}`)))).heading).toBe('Create your account');
    const form = { token, username, password: PASSWORD };
    expect(redirectOf(await submit(url('register/complete'), form))).toEqual([303, '/account/register/done']);
    expect(await booted.db.manager.findOneBy(User, { username })).toMatchObject({ roles: ['editor'] });
  });
});
