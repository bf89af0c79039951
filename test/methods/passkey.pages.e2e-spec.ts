import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { chromium, type Browser, type Page } from 'playwright-core';
import { INSTALLED_METHODS } from '../../src/app.module.js';
import { User } from '../../src/users/user.entity.js';
import { DEMO_PASSWORD } from '../../src/users/users.demo.js';
import { expectAccessible } from '../support/accessibility.js';
import { boot, client, type Booted } from '../support/app.js';
import { describeInBrowser, executablePath } from '../support/chromium.js';
import { passkeysOf } from './passkey.accounts.js';

/** These tests sign in on the pages, so they need these methods. */
const installed: readonly string[] = INSTALLED_METHODS.map(({ name }) => name);
const describeIfInstalled = ['password', 'session'].every((name) => installed.includes(name))
  ? describe
  : describe.skip;

describeIfInstalled('passkeys on the pages', () => {
  describeInBrowser('in Chromium', () => {
    let booted: Booted;
    let chrome: Browser;
    let page: Page;
    beforeAll(async () => {
      booted = await boot({ publicUrlIsOrigin: true });
      chrome = await chromium.launch({ executablePath });
    }, 60_000);
    afterAll(async () => {
      await chrome.close();
      await booted.close();
    });
    beforeEach(async () => {
      page = await (await chrome.newContext()).newPage();
      const devTools = await page.context().newCDPSession(page);
      await devTools.send('WebAuthn.enable');
      await devTools.send('WebAuthn.addVirtualAuthenticator', {
        options: {
          protocol: 'ctap2',
          transport: 'internal',
          hasResidentKey: true,
          hasUserVerification: true,
          isUserVerified: true,
          automaticPresenceSimulation: true,
        },
      });
    });
    afterEach(async () => {
      await page.context().close();
      await booted.db.sql`DELETE FROM passkeys`;
      await booted.db.manager.updateAll(User, { mfaSince: null });
    });

    const heading = (text: string) => page.getByRole('heading', { level: 1, name: text }).waitFor();
    const signInByPassword = async (button = 'Sign in') => {
      await page.fill('[name=username]', 'bob');
      await page.fill('[name=password]', DEMO_PASSWORD);
      await page.getByRole('button', { name: button, exact: true }).click();
    };
    /** Signs bob in, and registers a passkey on the account page. */
    const register = async () => {
      await page.goto(`${booted.origin}/account/security`);
      await signInByPassword();
      await page.getByLabel('Name of a new passkey').fill('laptop');
      await page.getByRole('button', { name: 'Register a passkey' }).click();
      await page.getByText('laptop', { exact: true }).waitFor();
    };

    it('are registered, renamed and removed on the account page', async () => {
      await register();
      await page.getByText('Rename or remove').click();
      await expectAccessible(page);
      await page.getByLabel('Name', { exact: true }).fill('phone');
      await page.getByRole('button', { name: 'Rename' }).click();
      await page.getByText('phone', { exact: true }).waitFor();
      expect(await passkeysOf(booted, 'bob')).toMatchObject([{ name: 'phone' }]);
      await page.getByText('Rename or remove').click();
      await page.getByRole('button', { name: 'Remove this passkey' }).click();
      await page.getByText('phone', { exact: true }).waitFor({ state: 'detached' });
      expect(await passkeysOf(booted, 'bob')).toEqual([]);
    }, 60_000);

    it('sign in from the list of the username field, and complete a password', async () => {
      await register();
      await page.context().clearCookies();
      // The authenticator may sign in before the page has loaded.
      await page.goto(`${booted.origin}/account/sign-in?returnTo=%2Fme`, { waitUntil: 'commit' });
      await page.waitForURL('**/me');
      expect(await page.textContent('body')).toContain('"amr":["swk","user","mfa"]');

      const { status, body } = await client(booted.origin).post('/auth/login', {
        username: 'bob',
        password: DEMO_PASSWORD,
        as: 'session',
      });
      expect([status, body.code, body.factors]).toEqual([401, 'mfa_required', ['passkey']]);
      await page.context().clearCookies();
      await page
        .context()
        .addCookies([{ name: 'second-step', value: body.mfa_token as string, url: booted.origin }]);
      await page.goto(`${booted.origin}/account/second-step`);
      await expectAccessible(page);
      await page.getByRole('button', { name: 'Use a passkey' }).click();
      await heading('Your account');
    }, 60_000);

    it('sign in at the authorization server, and complete its passwords', async () => {
      await register();
      const request = `${booted.origin}/oidc/auth?${new URLSearchParams({
        client_id: 'web',
        response_type: 'code',
        redirect_uri: 'http://localhost:4000/callback',
        scope: 'openid documents:read',
        code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
        code_challenge_method: 'S256',
        acr_values: 'phr',
      }).toString()}`;
      if ((await fetch(request, { redirect: 'manual' })).status === 404) return;
      await page.goto(request, { waitUntil: 'commit' });
      await page.getByRole('button', { name: 'Allow' }).waitFor();
    }, 60_000);
  });
});
