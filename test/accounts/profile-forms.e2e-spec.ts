import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { IsNull } from 'typeorm';
import { AccountToken } from '../../src/accounts/account-token.entity.js';
import { UserEmail } from '../../src/users/user-email.entity.js';
import { User } from '../../src/users/user.entity.js';
import { as, boot, type Booted } from '../support/app.js';
import { newAccount, signedInAs } from './accounts.js';
import { CROSS_SITE, open, redirectOf, shown, submit } from './forms.js';
import { mailedToken, mailsTo } from './mails.js';

const LATE = {
  method: 'test',
  at: new Date(Date.now() - 6 * 60_000),
  amr: ['pwd'],
  bound: false,
  signIn: true,
} as const;

let booted: Booted;
let id: string;
let address: string;
const url = (path: string) => `${booted.origin}/account/${path}`;
const account = () => booted.db.manager.findOneByOrFail(User, { id });
const email = async () => (await booted.db.manager.findOneBy(UserEmail, { userId: id }))?.address;

beforeAll(async () => (booted = await boot()));
afterAll(() => booted.close());
beforeEach(async () => {
  await booted.db.sql`DELETE FROM login_failures`;
  ({ id, address } = await newAccount(booted.db));
});

describe('the profile on the account page', () => {
  const me = () => as({ id });

  it('shows the account, and changes its name', async () => {
    const section = await (await open(url('security'), me())).text();
    for (const text of ['<h2>Profile</h2>', id, address, 'Sign out', 'href="/account/change-email"'])
      expect(section).toContain(text);
    expect((await shown(await open(url('change-name'), me()))).heading).toBe('Change your name');
    const saved = await submit(url('change-name'), { name: ' Erin Example ' }, me());
    expect(redirectOf(saved)).toEqual([303, '/account/security']);
    expect((await account()).name).toBe('Erin Example');
    expect(await shown(await submit(url('change-name'), { name: '\u202e' }, me()))).toMatchObject({
      ...{ status: 422, errors: ['Must have 1 to 100 characters, none of them invisible.'] },
    });
    expect((await account()).name).toBe('Erin Example');
    await submit(url('change-name'), { name: '  ' }, me());
    expect((await account()).name).toBeNull();
  });

  it('mails the links of a change of the address, and shows why an address is rejected', async () => {
    expect((await shown(await open(url('change-email'), me()))).heading).toBe('Change your e-mail address');
    for (const [typed, error] of [
      ['no address', 'This is not an e-mail address.'],
      [address, 'Must differ from the present address.'],
    ] as const)
      expect(await shown(await submit(url('change-email'), { email: typed }, me()))).toMatchObject({
        ...{ status: 422, errors: [error] },
      });
    const sent = await submit(url('change-email'), { email: `new-${address}` }, me());
    expect(redirectOf(sent)).toEqual([303, '/account/change-email/sent']);
    expect((await open(url('change-email/sent'), me())).status).toBe(200);
    for (const to of [address, `new-${address}`]) expect(await mailsTo(booted, to)).toHaveLength(1);
  });

  it('requires a recent sign-in before and after an address is typed', async () => {
    const late = as({ id, proofs: [LATE] });
    expect((await open(url('change-email'), late)).status).toBe(403);
    expect((await submit(url('change-email'), { email: `new-${address}` }, late)).status).toBe(403);
    expect(await mailsTo(booted, `new-${address}`)).toEqual([]);
  });

  it('has a button that verifies an address which an operator stored', async () => {
    expect(await (await open(url('security'), me())).text()).not.toContain('/account/verify-email');
    await booted.db.manager.update(UserEmail, { userId: id }, { verifiedAt: null });
    expect(await (await open(url('security'), me())).text()).toContain('action="/account/verify-email"');
    expect((await submit(url('verify-email'), {}, me())).status).toBe(303);
    const token = await mailedToken(booted, address);
    expect(redirectOf(await submit(url('confirm-email'), { token }))).toEqual([
      ...[303, '/account/confirm-email/verified'],
    ]);
    expect((await signedInAs(booted, id).get('/account')).body.emailVerified).toBe(true);
  });

  it.each(['change-name', 'change-email', 'verify-email', 'sign-out', 'delete-account'])(
    'rejects the form of nobody: %s',
    async (path) => {
      expect((await submit(url(path), { name: 'x', email: 'x@y.example' })).status).toBe(401);
    },
  );
});

describe('the page that confirms an address', () => {
  let newAddress: string;
  beforeEach(() => {
    newAddress = `new-${address}`;
  });
  const tokens = async () => {
    await signedInAs(booted, id).post('/account/email', { email: newAddress });
    return { old: await mailedToken(booted, address), new: await mailedToken(booted, newAddress) };
  };
  const confirm = (token: string, headers = {}) => submit(url('confirm-email'), { token }, headers);

  it('changes the address once both are confirmed, and nothing by opening the links', async () => {
    const links = await tokens();
    for (const token of [links.old, links.new, links.old]) {
      const page = await open(url(`confirm-email?token=${token}`));
      expect([page.status, page.headers.get('referrer-policy')]).toEqual([200, 'strict-origin']);
      expect(await page.text()).toContain(newAddress);
    }
    expect(redirectOf(await confirm(links.new))).toEqual([303, '/account/confirm-email/waiting']);
    expect(await email()).toBe(address);
    expect((await shown(await confirm(links.new))).status).toBe(400);
    expect(redirectOf(await confirm(links.old))).toEqual([303, '/account/confirm-email/changed']);
    expect(await email()).toBe(newAddress);
    for (const result of ['waiting', 'changed', 'verified'])
      expect((await open(url(`confirm-email/${result}`))).status).toBe(200);
    expect((await open(url('confirm-email/other'))).status).toBe(404);
  });

  it.each(CROSS_SITE)('rejects the button of another site: %j', async (headers) => {
    const links = await tokens();
    expect((await confirm(links.old, headers)).status).toBe(403);
    expect((await confirm(links.new)).headers.get('location')).toBe('/account/confirm-email/waiting');
  });
});

describe('the pages of a deletion', () => {
  const request = (headers = as({ id })) => submit(url('delete-account'), {}, headers);
  const cancel = (token: string, headers = {}) => submit(url('cancel-deletion'), { token }, headers);
  const isDisabled = async () => (await account()).disabledAt !== null;

  it('disable the account, and restore it by a mailed link', async () => {
    expect(await (await open(url('security'), as({ id }))).text()).toContain(
      'href="/account/delete-account"',
    );
    const page = await (await open(url('delete-account'), as({ id }))).text();
    expect(page).toContain(address);
    expect(page).toContain('deleted after 14 days');
    expect(await isDisabled()).toBe(false);
    expect(redirectOf(await request())).toEqual([303, '/account/delete-account/done']);
    expect((await open(url('delete-account/done'))).status).toBe(200);
    expect(await isDisabled()).toBe(true);
    const token = await mailedToken(booted, address);
    expect((await shown(await open(url(`cancel-deletion?token=${token}`)))).heading).toBe(
      'Keep your account',
    );
    expect(await isDisabled()).toBe(true);
    expect(redirectOf(await cancel(token))).toEqual([303, '/account/cancel-deletion/done']);
    expect((await open(url('cancel-deletion/done'))).status).toBe(200);
    expect(await isDisabled()).toBe(false);
    expect((await shown(await cancel(token))).heading).toBe('This link does not work');
  });

  it('require a recent sign-in', async () => {
    const late = as({ id, proofs: [LATE] });
    expect((await open(url('delete-account'), late)).status).toBe(403);
    expect((await request(late)).status).toBe(403);
    expect(await isDisabled()).toBe(false);
  });

  it('say who can restore an account without a confirmed address', async () => {
    await booted.db.manager.update(UserEmail, { userId: id }, { verifiedAt: null });
    expect(await (await open(url('delete-account'), as({ id }))).text()).toContain('only an administrator');
  });

  it('keep the last administrator of a tenant', async () => {
    id = 'alice';
    const { status, errors } = await shown(await request());
    expect([status, errors]).toEqual([409, [expect.stringContaining('the last administrator')]]);
    expect(await isDisabled()).toBe(false);
  });

  it.each(CROSS_SITE)('reject the button of another site: %j', async (headers) => {
    await request();
    const token = await mailedToken(booted, address);
    expect((await cancel(token, headers)).status).toBe(403);
    expect(await isDisabled()).toBe(true);
  });
});

describe('the page that cancels a recovery', () => {
  const cancel = (token: string, headers = {}) => submit(url('cancel-recovery'), { token }, headers);
  const recoveryToken = async () => {
    await booted.db.manager.update(User, { id }, { mfaSince: new Date() });
    const proof = { ...LATE, at: new Date(), amr: ['pwd', 'otp', 'mfa'] };
    const admin = signedInAs(booted, 'alice', { roles: ['admin'], proofs: [proof] });
    expect((await admin.post(`/accounts/${id}/recovery`)).status).toBe(202);
    return mailedToken(booted, address);
  };
  const isPending = () => booted.db.manager.existsBy(AccountToken, { accountId: id, usedAt: IsNull() });

  it('keeps the second factors by its button, once', async () => {
    const token = await recoveryToken();
    const page = await open(url(`cancel-recovery?token=${token}`));
    expect(await shown(page)).toMatchObject({ status: 200, heading: 'Keep your second factors' });
    expect(await isPending()).toBe(true);
    expect(redirectOf(await cancel(token))).toEqual([303, '/account/cancel-recovery/done']);
    expect((await open(url('cancel-recovery/done'))).status).toBe(200);
    expect(await isPending()).toBe(false);
    expect((await account()).mfaSince).not.toBeNull();
    expect((await shown(await cancel(token))).heading).toBe('This link does not work');
  });

  it.each(CROSS_SITE)('rejects the button of another site: %j', async (headers) => {
    const token = await recoveryToken();
    expect((await cancel(token, headers)).status).toBe(403);
    expect(await isPending()).toBe(true);
  });
});
