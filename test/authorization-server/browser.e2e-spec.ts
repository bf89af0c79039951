import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';
import { DEMO_PASSWORD } from '../../src/users/users.demo.js';
import { ClientsService } from '../../src/authorization-server/clients/clients.service.js';
import { boot, type Booted } from '../support/app.js';
import { freePort } from '../support/free-port.js';
import { expectAccessible } from '../support/accessibility.js';
import { describeInBrowser, executablePath } from '../support/chromium.js';

const VIEWS = [
  ['a phone', { width: 390, height: 844 }],
  ['the smallest screen', { width: 320, height: 568 }],
  ['a desktop', { width: 1280, height: 800 }],
] as const;

describeInBrowser('the pages in a browser', () => {
  let booted: Booted;
  let application: Server;
  let browser: Browser;
  let home: string;
  beforeAll(async () => {
    booted = await boot({ publicUrlIsOrigin: true });
    const port = await freePort();
    application = createServer((_request, response) => response.end('The application.'));
    application.listen(port, '127.0.0.1');
    home = `http://localhost:${port}`;
    await booted.app.get(ClientsService, { strict: false }).upsert('tried', {
      client_name: 'Tried in a browser',
      token_endpoint_auth_method: 'none',
      redirect_uris: [`${home}/callback`],
      post_logout_redirect_uris: [`${home}/`],
      grant_types: ['authorization_code', 'refresh_token'],
      resource_scopes: 'documents:read documents:write',
    });
    browser = await chromium.launch({ executablePath });
  });
  afterAll(async () => {
    await browser.close();
    application.close();
    await booted.close();
  });

  const request = (more: Record<string, string> = {}) =>
    `${booted.origin}/oidc/auth?${new URLSearchParams({
      client_id: 'tried',
      response_type: 'code',
      redirect_uri: `${home}/callback`,
      scope: 'openid documents:read documents:write',
      code_challenge: createHash('sha256').update('v'.repeat(43)).digest('base64url'),
      code_challenge_method: 'S256',
      ...more,
    }).toString()}`;

  const deviceCode = async () => {
    const response = await fetch(`${booted.origin}/oidc/device/auth`, {
      method: 'POST',
      body: new URLSearchParams({ client_id: 'device', scope: 'openid documents:read' }),
    });
    return (await response.json()) as Record<
      'user_code' | 'verification_uri' | 'verification_uri_complete',
      string
    >;
  };

  describe.each(VIEWS)('on %s', (name, viewport) => {
    let context: BrowserContext;
    let page: Page;
    const consoleErrors: string[] = [];
    beforeEach(async () => {
      consoleErrors.length = 0;
      context = await browser.newContext({ viewport, javaScriptEnabled: true });
      page = await context.newPage();
      page.setDefaultTimeout(5_000);
      // Chromium logs violations of the content security policy, and also every 4xx status, which is expected.
      page.on('console', (message) => {
        if (message.type() === 'error' && !/the server responded with a status of 4/.test(message.text()))
          consoleErrors.push(message.text());
      });
      page.on('pageerror', (error) => consoleErrors.push(error.message));
    });
    afterEach(async () => {
      await context.close();
      expect(consoleErrors).toEqual([]);
    });

    /** Checks the requirements of every page. */
    const expectUsablePage = async () => {
      const wide = await page.evaluate('document.documentElement.scrollWidth - innerWidth');
      expect(wide).toBeLessThanOrEqual(0);
      expect(await page.getByRole('heading', { level: 1 }).count()).toBe(1);
      expect(await page.locator('html').getAttribute('lang')).toBe('en');
      for (const button of await page.getByRole('button').all())
        expect((await button.boundingBox())!.height).toBeGreaterThanOrEqual(44);
      const margin = await page.evaluate("getComputedStyle(document.querySelector('body')).marginTop");
      expect(margin).toBe('0px');
    };

    const signIn = async (password: string = DEMO_PASSWORD) => {
      await page.getByLabel('Username').fill('bob');
      await page.getByLabel('Password').fill(password);
      await page.getByRole('button', { name: 'Sign in' }).click();
    };

    it('signs in, deselects one scope and returns to the application', async () => {
      await page.goto(request());
      await expectUsablePage();
      await signIn('wrong');
      await expectUsablePage();
      expect(await page.getByRole('alert').textContent()).toBe('The username or the password is incorrect.');
      expect(await page.getByLabel('Username').inputValue()).toBe('bob');
      expect(await page.evaluate('document.activeElement.id')).toBe('password');
      await signIn();
      await expectUsablePage();
      await page.getByRole('checkbox', { name: /create documents/ }).uncheck();
      await page.getByRole('button', { name: 'Allow' }).click();
      await page.waitForURL(`${home}/callback**`);
      expect(new URL(page.url()).searchParams.get('code')).toMatch(/^[\w-]{43}$/);
    });

    it('connects a device', async () => {
      const { user_code, verification_uri } = await deviceCode();
      await page.goto(verification_uri);
      await expectUsablePage();
      await page.getByLabel('The code that your device shows').fill('nothing');
      await page.getByRole('button', { name: 'Continue' }).click();
      await expectUsablePage();
      expect(await page.getByRole('alert').textContent()).toMatch('There is no such code.');
      await page.getByLabel('The code that your device shows').fill(user_code.toLowerCase());
      await page.getByRole('button', { name: 'Continue' }).click();
      await expectUsablePage();
      expect(await page.getByText(user_code).count()).toBe(1);
      await page.getByRole('button', { name: 'Yes' }).click();
      await signIn();
      await page.getByRole('button', { name: 'Allow' }).click();
      await expectUsablePage();
      expect(await page.getByRole('heading').textContent()).toBe('Your device is connected');
    });

    // The other tests do not depend on the screen size.
    if (name !== 'a phone') return;

    it('shows accessible pages', async () => {
      await page.goto(request());
      await expectAccessible(page);
      await signIn('wrong');
      await expectAccessible(page);
      await signIn();
      await expectAccessible(page);
      await page.goto((await deviceCode()).verification_uri);
      await expectAccessible(page);
    });

    it('returns access_denied to the application after Deny', async () => {
      await page.goto(request());
      await signIn();
      await page.getByRole('button', { name: 'Deny' }).click();
      await page.waitForURL(`${home}/callback**`);
      expect(new URL(page.url()).searchParams.get('error')).toBe('access_denied');
    });

    it('skips consent if it was given before', async () => {
      await page.goto(request());
      await signIn();
      await page.getByRole('button', { name: 'Allow' }).click();
      await page.waitForURL(`${home}/callback**`);
      await page.goto(request({ prompt: 'login' }));
      await signIn();
      await page.waitForURL(`${home}/callback**`);
    });

    it('signs out by a link of the application', async () => {
      await page.goto(request());
      await signIn();
      await page.getByRole('button', { name: 'Allow' }).click();
      await page.waitForURL(`${home}/callback**`);
      await page.goto(
        `${booted.origin}/oidc/session/end?client_id=tried&post_logout_redirect_uri=${encodeURIComponent(`${home}/`)}`,
      );
      await expectUsablePage();
      await page.getByRole('button', { name: 'Sign out' }).click();
      await page.waitForURL(`${home}/**`);
      await page.goto(request());
      expect(await page.getByLabel('Password').count()).toBe(1);
    });

    it('signs in as another user, and posts a form_post response', async () => {
      await page.goto(request());
      await signIn();
      await page.getByRole('link', { name: 'Sign in with another account' }).click();
      await expectUsablePage();
      await page.getByLabel('Username').fill('alice');
      await page.getByLabel('Password').fill(DEMO_PASSWORD);
      await page.getByRole('button', { name: 'Sign in' }).click();
      await expectUsablePage();
      await page.getByRole('button', { name: 'Continue' }).click();
      expect(await page.getByRole('main').textContent()).toContain('You are signed in as alice');
      await page.getByRole('button', { name: 'Allow' }).click();
      await page.waitForURL(`${home}/callback**`);
      await page.goto(request({ response_mode: 'form_post' }));
      await expectUsablePage();
      await page.getByRole('button', { name: 'Continue' }).click();
      await page.waitForURL(`${home}/callback`);
    });

    it('works with the keyboard only', async () => {
      await page.goto(request());
      const focused = (name: string) => page.locator(':focus').and(page.getByLabel(name)).waitFor();
      await focused('Username');
      await page.keyboard.type('bob');
      await page.keyboard.press('Tab');
      await focused('Password');
      await page.keyboard.type(DEMO_PASSWORD);
      await page.keyboard.press('Enter');
      const allow = page.getByRole('button', { name: 'Allow' });
      await allow.waitFor();
      for (let tabs = 0; tabs < 5 && !(await page.locator(':focus').and(allow).count()); tabs++)
        await page.keyboard.press('Tab');
      await page.keyboard.press('Enter');
      await page.waitForURL(`${home}/callback**`);
    });
  });

  it('finds the session after a page of another site submitted the request as a form', async () => {
    const context = await browser.newContext();
    const page = await context.newPage();
    page.setDefaultTimeout(5_000);
    await page.goto(request());
    await page.getByLabel('Username').fill('bob');
    await page.getByLabel('Password').fill(DEMO_PASSWORD);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('button', { name: 'Allow' }).click();
    await page.waitForURL(`${home}/callback**`);
    // The site of an IP address is another one than that of `localhost`.
    await page.goto(home.replace('localhost', '127.0.0.1'));
    const { searchParams } = new URL(request({ prompt: 'none' }));
    const inputs = [...searchParams].map(([name, value]) => `<input name="${name}" value="${value}">`);
    await page.setContent(
      `<form method="post" action="${booted.origin}/oidc/auth">${inputs.join('')}<button>Go</button></form>`,
    );
    await page.getByRole('button', { name: 'Go' }).click();
    await page.waitForURL(`${home}/callback?code=**`);
    await context.close();
  });
});
