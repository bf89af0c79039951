import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { MailService } from '../../src/mail/mail.service.js';
import { Mailbox } from '../../src/mail/mailbox.service.js';
import * as magicLink from '../../src/methods/magic-link/index.js';
import { MfaTickets } from '../../src/users/mfa-tickets.service.js';
import { User } from '../../src/users/user.entity.js';
import { CROSS_SITE, open, redirectOf, shown, submit } from '../accounts/forms.js';
import { newAccount } from '../accounts/accounts.js';
import { boot, testMethod, type Booted } from '../support/app.js';
import { testCookieIssuer } from '../support/test-issuer.js';

const PATH = '/account/sign-in/magic-link';

describe('the sign-in page of magic-link', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await boot({ methods: [magicLink, testCookieIssuer, testMethod] })));
  afterAll(() => booted.close());
  afterEach(() => booted.db.sql`DELETE FROM login_failures`);

  let id: string;
  let email: string;
  beforeEach(async () => {
    ({ id, address: email } = await newAccount(booted.db));
  });
  const request = (fields: Record<string, string> = {}, headers = {}) =>
    submit(booted.origin + PATH, { email, ...fields }, headers);
  const redeem = (code: string, fields: Record<string, string> = {}, headers = {}) =>
    submit(`${booted.origin}${PATH}/code`, { email, code, ...fields }, headers);
  const mailsTo = async (address: string) => {
    await booted.app.get(MailService, { strict: false }).flush();
    return booted.app.get(Mailbox, { strict: false }).list(address);
  };
  const mailed = async (pattern: RegExp) => pattern.exec((await mailsTo(email))[0]!.text)?.[1] ?? '';
  const mailedCode = () => mailed(/^code: (\d{6})$/m);
  const cookiesOf = (response: Response) =>
    Object.fromEntries(
      response.headers.getSetCookie().map((line) => line.split(';')[0]!.split('=') as [string, string]),
    );
  /** Returns the browser's cookie of a request, and follows the link of the mail with it. */
  const followLink = async (requested: Response) => {
    const token = await mailed(/\?token=([\w-]+)/);
    const headers = { Cookie: `magic-link=${cookiesOf(requested)['magic-link']}` };
    return submit(`${booted.origin}/auth/magic-link/redeem`, { token }, headers);
  };
  const useSecondFactor = () => booted.db.manager.update(User, { id }, { mfaSince: new Date() });
  const ticketOf = (response: Response) =>
    booted.app
      .get(MfaTickets, { strict: false })
      .read(cookiesOf(response)['second-step'], undefined as never);

  it('has a form for an address, and keeps the path to return to', async () => {
    const html = await (await open(`${booted.origin}/account/sign-in?returnTo=/me`)).text();
    expect(html).toMatch(/action="\/account\/sign-in\/magic-link"/);
    expect(html).toContain('<input type="hidden" name="returnTo" value="/me" />');
  });

  it('signs in with the code in the browser in which it was requested', async () => {
    const requested = await request({ returnTo: '/me' });
    expect(await shown(requested)).toEqual({ status: 200, heading: 'Check your mail', errors: [] });
    const signedIn = await redeem(await mailedCode(), { returnTo: '/me' });
    expect(redirectOf(signedIn)).toEqual([303, '/me']);
    const me = await open(`${booted.origin}/me`, {
      Cookie: `test-token=${cookiesOf(signedIn)['test-token']}`,
    });
    expect(await me.json()).toMatchObject({ id });
  });

  it('signs in with the link, and goes to the account page unless another path is given', async () => {
    expect(redirectOf(await followLink(await request()))).toEqual([303, '/account/security']);
    expect(redirectOf(await followLink(await request({ returnTo: '/me' })))).toEqual([303, '/me']);
    await request();
    expect(redirectOf(await redeem(await mailedCode()))).toEqual([303, '/account/security']);
  });

  it.each(['//evil.example', 'https://evil.example', '/\\evil.example'])(
    'returns to no other site: %s',
    async (returnTo) => {
      expect(redirectOf(await followLink(await request({ returnTo })))).toEqual([303, '/account/security']);
      await request({ returnTo });
      expect(redirectOf(await redeem(await mailedCode(), { returnTo }))).toEqual([303, '/account/security']);
    },
  );

  it('responds to an unknown address like to a known one', async () => {
    const visible = async (response: Response) => ({
      status: response.status,
      cookies: Object.keys(cookiesOf(response)),
      html: (await response.text()).replaceAll(/nobody-/g, ''),
    });
    const unknown = `nobody-${email}`;
    expect(await visible(await request({ email: unknown }))).toEqual(await visible(await request()));
    expect(await mailsTo(unknown)).toEqual([]);
  });

  it('shows a wrong code and a wrong address at their fields', async () => {
    expect(await shown(await request({ email: 'no address' }))).toEqual({
      ...{ status: 422, heading: 'Sign in by mail', errors: ['This is not an e-mail address.'] },
    });
    await request();
    const code = await mailedCode();
    const wrong = code === '000000' ? '000001' : '000000';
    const rejected = await redeem(wrong);
    expect(cookiesOf(rejected)).toEqual({});
    expect(await shown(rejected)).toEqual({
      ...{ status: 422, heading: 'Check your mail' },
      errors: ['This code is incorrect, expired or already used.'],
    });
    expect((await redeem(code)).status).toBe(303);
    expect((await redeem(code)).status).toBe(422);
  });

  it.each(['code', 'link'])('asks for the second factor after the %s, and returns afterwards', async (by) => {
    await useSecondFactor();
    const requested = await request({ returnTo: '/me' });
    const response =
      by === 'link' ? await followLink(requested) : await redeem(await mailedCode(), { returnTo: '/me' });
    expect(redirectOf(response)).toEqual([303, '/account/second-step']);
    expect(cookiesOf(response)['test-token']).toBeUndefined();
    expect(ticketOf(response)).toMatchObject({ accountId: id, method: 'magic-link', returnTo: '/me' });
  });

  it.each(CROSS_SITE)('rejects forms of another site: %j', async (headers) => {
    expect((await request({}, headers)).status).toBe(403);
    expect(await mailsTo(email)).toEqual([]);
    await request();
    const code = await mailedCode();
    const rejected = await redeem(code, {}, headers);
    expect([rejected.status, cookiesOf(rejected)]).toEqual([403, {}]);
    expect((await redeem(code)).status).toBe(303);
  });
});
