import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { TOTP } from 'otpauth';
import { chromium, type Browser, type Page } from 'playwright-core';
import { INSTALLED_METHODS } from '../../src/app.module.js';
import { User } from '../../src/users/user.entity.js';
import { DEMO_PASSWORD } from '../../src/users/users.demo.js';
import { expectAccessible } from '../support/accessibility.js';
import { boot, client, type Booted } from '../support/app.js';
import { describeInBrowser, executablePath } from '../support/chromium.js';

/** These tests sign in on the pages, so they need these methods. */
const NEEDED = ['password', 'session', 'totp', 'recovery-code'];
const installed: readonly string[] = INSTALLED_METHODS.map(({ name }) => name);
const describeIfInstalled = NEEDED.every((name) => installed.includes(name)) ? describe : describe.skip;

const PERIOD_MS = 30_000;
const codeOf = (secret: string, steps = 0) =>
  new TOTP({ secret }).generate({ timestamp: Date.now() + steps * PERIOD_MS });

describeIfInstalled('the account pages', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await boot({ publicUrlIsOrigin: true })));
  afterAll(() => booted.close());
  afterEach(async () => {
    await booted.db.sql`DELETE FROM totp_secrets`;
    await booted.db.sql`DELETE FROM recovery_codes`;
    await booted.db.sql`DELETE FROM login_failures`;
    await booted.db.manager.updateAll(User, { mfaSince: null });
  });

  describe('for a client that is no browser', () => {
    it('respond with problems, and redirect nobody', async () => {
      const { status, body } = await client(booted.origin).get('/account/security');
      expect([status, body.code]).toEqual([401, 'unauthenticated']);
    });
  });

  it('send a browser without a session to the sign-in page, and back', async () => {
    const response = await fetch(`${booted.origin}/account/security`, {
      redirect: 'manual',
      headers: { Accept: 'text/html' },
    });
    expect([response.status, response.headers.get('location')]).toEqual([
      303,
      '/account/sign-in?returnTo=%2Faccount%2Fsecurity',
    ]);
  });

  it.each([
    '//evil.example',
    '/\\evil.example',
    'https://evil.example',
    'javascript:alert(1)',
    '/%0d%0aX: 1',
  ])('return to no other site: %s', async (returnTo) => {
    const page = await fetch(
      `${booted.origin}/account/sign-in?${new URLSearchParams({ returnTo }).toString()}`,
    );
    expect(await page.text()).not.toContain('name="returnTo"');
    const response = await fetch(`${booted.origin}/account/sign-in/password`, {
      method: 'POST',
      redirect: 'manual',
      body: new URLSearchParams({ username: 'bob', password: DEMO_PASSWORD, returnTo }),
    });
    expect([response.status, response.headers.get('location')]).toEqual([303, '/account/security']);
  });

  it('reject a sign-in form of another site, and a form without the CSRF token of its session', async () => {
    const form = new URLSearchParams({ username: 'bob', password: DEMO_PASSWORD });
    const sent = await fetch(`${booted.origin}/account/sign-in/password`, {
      method: 'POST',
      redirect: 'manual',
      headers: { 'Sec-Fetch-Site': 'cross-site', Origin: 'https://evil.example' },
      body: form,
    });
    expect([sent.status, sent.headers.getSetCookie()]).toEqual([403, []]);

    const signedIn = await fetch(`${booted.origin}/account/sign-in/password`, {
      method: 'POST',
      redirect: 'manual',
      body: form,
    });
    const [cookie = ''] = signedIn.headers.getSetCookie();
    const rejected = await fetch(`${booted.origin}/account/totp`, {
      method: 'POST',
      redirect: 'manual',
      headers: { Cookie: cookie.split(';')[0]!, Origin: booted.origin, 'Sec-Fetch-Site': 'same-origin' },
      body: new URLSearchParams({ csrf_token: 'wrong' }),
    });
    expect(rejected.status).toBe(403);
  });

  describeInBrowser('in Chromium', () => {
    let chrome: Browser;
    let page: Page;
    beforeAll(async () => {
      chrome = await chromium.launch({ executablePath });
    }, 60_000);
    afterAll(() => chrome.close());
    beforeEach(async () => {
      page = await (await chrome.newContext()).newPage();
      page.setDefaultTimeout(10_000);
    });
    afterEach(() => page.context().close());

    const heading = () => page.textContent('h1');
    const signIn = async (username = 'bob') => {
      await page.goto(`${booted.origin}/account/security`);
      await page.fill('[name=username]', username);
      await page.fill('[name=password]', DEMO_PASSWORD);
      await page.getByRole('button', { name: 'Sign in', exact: true }).click();
    };
    const enrol = async () => {
      await page.click('text=Set up an app');
      const key = (await page.textContent('.code'))!.replaceAll(/\s/g, '');
      await page.fill('[name=code]', codeOf(key));
      await page.getByRole('button', { name: 'Confirm' }).click();
      return key;
    };

    it('sign a person in, and say what was wrong', async () => {
      await page.goto(`${booted.origin}/account/sign-in`);
      await expectAccessible(page);
      await page.fill('[name=username]', 'bob');
      await page.fill('[name=password]', 'wrong');
      await page.press('[name=password]', 'Enter');
      expect(await page.textContent('[role=alert]')).toContain('The username or the password is incorrect.');
      expect(await page.inputValue('[name=username]')).toBe('bob');
      await expectAccessible(page);
      await page.fill('[name=password]', DEMO_PASSWORD);
      await page.press('[name=password]', 'Enter');
      expect(await heading()).toBe('Your account');
      await expectAccessible(page);
    }, 60_000);

    it('set up an authenticator app, which the next sign-in asks for', async () => {
      await signIn();
      await page.click('text=Set up an app');
      expect(await page.locator('.qr svg').isVisible()).toBe(true);
      await expectAccessible(page);
      const key = (await page.textContent('.code'))!.replaceAll(/\s/g, '');
      await page.fill('[name=code]', '000000');
      await page.getByRole('button', { name: 'Confirm' }).click();
      expect(await page.textContent('[role=alert]')).toContain('This is not the current code.');
      await page.fill('[name=code]', codeOf(key));
      await page.getByRole('button', { name: 'Confirm' }).click();
      expect(await heading()).toBe('Your account');

      await page.click('text=Create new codes');
      const codes = await page.locator('.codes li').allTextContents();
      expect(codes).toHaveLength(10);
      await expectAccessible(page);

      await page.context().clearCookies();
      await signIn();
      expect(await heading()).toBe('Confirm that it is you');
      await expectAccessible(page);
      await page.fill('#factor-totp', '000000');
      await page.press('#factor-totp', 'Enter');
      expect(await page.textContent('[role=alert]')).toContain('This is not correct');
      await page.fill('#factor-totp', codeOf(key, 1));
      await page.press('#factor-totp', 'Enter');
      expect(await heading()).toBe('Your account');

      await page.context().clearCookies();
      await signIn();
      await page.fill('#factor-recovery-code', codes[0]!);
      await page.press('#factor-recovery-code', 'Enter');
      expect(await heading()).toBe('Your account');
      expect(await page.textContent('main')).toContain('You have 9 unused codes.');
    }, 90_000);

    it('ask for a factor again if the sign-in is not recent, and continue', async () => {
      await signIn();
      const key = await enrol();
      await booted.db.sql`UPDATE sessions SET "authAt" = "createdAt"`;
      await booted.db.manager.query(
        booted.db.options.type === 'postgres'
          ? `UPDATE sessions SET "authAt" = "authAt" - interval '10 minutes'`
          : `UPDATE sessions SET "authAt" = datetime("authAt", '-10 minutes') || '.000'`,
      );
      await page.click('text=Create new codes');
      expect(await heading()).toBe('Confirm that it is you');
      await page.fill('#factor-totp', codeOf(key, 1));
      await page.press('#factor-totp', 'Enter');
      expect(await heading()).toBe('Your account');
      await page.click('text=Create new codes');
      expect(await heading()).toBe('Your recovery codes');
    }, 60_000);

    it('run no script but those of this server, and no inline style', async () => {
      const refused: string[] = [];
      page.on('console', (message) => refused.push(message.text()));
      await signIn();
      await enrol();
      expect(refused.filter((text) => text.includes('Content Security Policy'))).toEqual([]);
    }, 60_000);
  });
});
