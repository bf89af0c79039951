import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';
import { DEMO_PASSWORD } from '../../src/database/demo-data.service.js';
import { Clients } from '../../src/authorization-server/clients.js';
import { boot, freePort, type Booted } from '../support/app.js';

const executablePath = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
const installed = existsSync(executablePath);

const VIEWS = [
  ['a phone', { width: 390, height: 844 }],
  ['the smallest screen', { width: 320, height: 568 }],
  ['a desktop', { width: 1280, height: 800 }],
] as const;

const inABrowser = () => {
  let booted: Booted;
  let application: Server;
  let browser: Browser;
  let home: string;
  beforeAll(async () => {
    booted = await boot({ known: true });
    const port = await freePort();
    application = createServer((_request, response) => response.end('The application.'));
    application.listen(port, '127.0.0.1');
    home = `http://localhost:${port}`;
    await booted.app.get(Clients, { strict: false }).upsert('tried', {
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
    const complaints: string[] = [];
    beforeEach(async () => {
      complaints.length = 0;
      context = await browser.newContext({ viewport, javaScriptEnabled: true });
      page = await context.newPage();
      page.setDefaultTimeout(5_000);
      // Chromium writes what a policy forbids on the console; a status of 4xx it writes there, too.
      page.on('console', (message) => {
        if (message.type() === 'error' && !/the server responded with a status of 4/.test(message.text()))
          complaints.push(message.text());
      });
      page.on('pageerror', (error) => complaints.push(error.message));
    });
    afterEach(async () => {
      await context.close();
      expect(complaints).toEqual([]);
    });

    /** What has to hold of every page. */
    const holds = async () => {
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

    it('a person signs in, leaves one thing out, and comes back to the application', async () => {
      await page.goto(request());
      await holds();
      await signIn('wrong');
      await holds();
      expect(await page.getByRole('alert').textContent()).toBe('The username or the password is wrong.');
      expect(await page.getByLabel('Username').inputValue()).toBe('bob');
      expect(await page.evaluate('document.activeElement.id')).toBe('password');
      await signIn();
      await holds();
      await page.getByRole('checkbox', { name: /create documents/ }).uncheck();
      await page.getByRole('button', { name: 'Allow' }).click();
      await page.waitForURL(`${home}/callback**`);
      expect(new URL(page.url()).searchParams.get('code')).toMatch(/^[\w-]{43}$/);
    });

    it('a person connects a device', async () => {
      const { user_code, verification_uri } = await deviceCode();
      await page.goto(verification_uri);
      await holds();
      await page.getByLabel('The code that your device shows').fill('nothing');
      await page.getByRole('button', { name: 'Continue' }).click();
      await holds();
      expect(await page.getByRole('alert').textContent()).toMatch('There is no such code.');
      await page.getByLabel('The code that your device shows').fill(user_code.toLowerCase());
      await page.getByRole('button', { name: 'Continue' }).click();
      await holds();
      expect(await page.getByText(user_code).count()).toBe(1);
      await page.getByRole('button', { name: 'Yes' }).click();
      await signIn();
      await page.getByRole('button', { name: 'Allow' }).click();
      await holds();
      expect(await page.getByRole('heading').textContent()).toBe('Your device is connected');
    });

    // What does not depend on the size is tried on one.
    if (name !== 'a phone') return;

    it('a person denies, and the application learns it', async () => {
      await page.goto(request());
      await signIn();
      await page.getByRole('button', { name: 'Deny' }).click();
      await page.waitForURL(`${home}/callback**`);
      expect(new URL(page.url()).searchParams.get('error')).toBe('access_denied');
    });

    it('a person who has signed in already goes straight to the application from the sign-in page', async () => {
      await page.goto(request());
      await signIn();
      await page.getByRole('button', { name: 'Allow' }).click();
      await page.waitForURL(`${home}/callback**`);
      await page.goto(request({ prompt: 'login' }));
      await signIn();
      await page.waitForURL(`${home}/callback**`);
    });

    it('a person signs out, by a link of the application', async () => {
      await page.goto(request());
      await signIn();
      await page.getByRole('button', { name: 'Allow' }).click();
      await page.waitForURL(`${home}/callback**`);
      await page.goto(
        `${booted.origin}/oidc/session/end?client_id=tried&post_logout_redirect_uri=${encodeURIComponent(`${home}/`)}`,
      );
      await holds();
      await page.getByRole('button', { name: 'Sign out' }).click();
      await page.waitForURL(`${home}/**`);
      await page.goto(request());
      expect(await page.getByLabel('Password').count()).toBe(1);
    });

    it('somebody else signs in in the same browser, and a form is posted to the application', async () => {
      await page.goto(request());
      await signIn();
      await page.getByRole('link', { name: 'Sign in as somebody else' }).click();
      await holds();
      await page.getByLabel('Username').fill('alice');
      await page.getByLabel('Password').fill(DEMO_PASSWORD);
      await page.getByRole('button', { name: 'Sign in' }).click();
      await holds();
      await page.getByRole('button', { name: 'Continue' }).click();
      expect(await page.getByRole('main').textContent()).toContain('You are signed in as alice');
      await page.getByRole('button', { name: 'Allow' }).click();
      await page.waitForURL(`${home}/callback**`);
      await page.goto(request({ response_mode: 'form_post' }));
      await holds();
      await page.getByRole('button', { name: 'Continue' }).click();
      await page.waitForURL(`${home}/callback`);
    });

    it('a person needs no mouse', async () => {
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
};

const withoutABrowser = () =>
  it('shows nothing here: set CHROMIUM to where it is', () => expect(installed).toBe(false));

describe(
  installed
    ? 'the pages in a browser'
    : `the pages in a browser: not tried, ${executablePath} is not installed`,
  installed ? inABrowser : withoutABrowser,
);
