import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { chromium, type Browser, type Page } from 'playwright-core';
import { INSTALLED_METHODS } from '../../src/app.module.js';
import { DEMO_PASSWORD } from '../../src/users/users.demo.js';
import { expectAccessible } from '../support/accessibility.js';
import { boot, type Booted } from '../support/app.js';
import { describeInBrowser, executablePath } from '../support/chromium.js';
import { newAccount } from './accounts.js';
import { mailsTo } from './mails.js';

/** These tests sign in on the pages, so they need these methods. */
const NEEDED = ['magic-link', 'password', 'session'];
const installed: readonly string[] = INSTALLED_METHODS.map(({ name }) => name);
const describeIfInstalled = NEEDED.every((name) => installed.includes(name)) ? describe : describe.skip;

const PASSWORD = 'seventeen purple kettles';

describeIfInstalled('a person with a browser', () => {
  describeInBrowser('in Chromium', () => {
    let booted: Booted;
    let chrome: Browser;
    let page: Page;
    let id: string;
    let address: string;
    /** The `Referer` headers of all requests. */

    let referrers: string[];
    /** Of the browser, about the pages. */
    let complaints: string[];
    beforeAll(async () => {
      booted = await boot({ publicUrlIsOrigin: true });
      chrome = await chromium.launch({ executablePath });
    }, 60_000);
    afterAll(async () => {
      await chrome.close();
      await booted.close();
    });
    beforeEach(async () => {
      await booted.db.sql`DELETE FROM login_failures`;
      ({ id, address } = await newAccount(booted.db));
      page = await (await chrome.newContext()).newPage();
      page.setDefaultTimeout(10_000);
      [referrers, complaints] = [[], []];
      page.on('request', (request) => void referrers.push(request.headers()['referer'] ?? ''));
      page.on('console', (message) => {
        // Chromium reports each 4xx here, and each sign-out. The page of a step-up names no username.
        if (page.url().includes('/account/step-up')) return;
        if (!/^(Failed to load resource|Clear-Site-Data)/.test(message.text()))
          complaints.push(message.text());
      });
    });
    afterEach(async () => {
      await page.context().close();
      expect(referrers.join()).not.toContain('token=');
      expect(complaints).toEqual([]);
    });

    const open = (path: string) => page.goto(`${booted.origin}/account/${path}`);
    const press = (name: string) => page.getByRole('button', { name, exact: true }).click();
    const follow = (name: string) => page.getByRole('link', { name, exact: true }).click();
    const fill = (label: string, text: string) => page.getByLabel(label, { exact: true }).fill(text);
    /** Waits for a page, which keys open later. */
    const shows = (title: string) =>
      page.getByRole('heading', { level: 1, name: title, exact: true }).waitFor();
    const showsAccessible = async (title: string) => {
      await shows(title);
      await expectAccessible(page);
    };
    /** Waits for an error, checks that a screen reader reads it with its field, and that the page is accessible. */
    const showsError = async (label: string, error: string) => {
      await page.getByText(error).waitFor();
      const input = page.getByLabel(label, { exact: true });
      expect(await input.getAttribute('aria-invalid')).toBe('true');
      const ids = ((await input.getAttribute('aria-describedby')) ?? '').split(' ');
      const texts = await Promise.all(ids.map((each) => page.textContent(`[id="${each}"]`)));
      expect(texts.join(' ')).toContain(error);
      await expectAccessible(page);
    };
    /** Opens the link of the newest mail to an address. */
    const openLink = async (to: string) => {
      const [mail] = await mailsTo(booted, to);
      await page.goto(/^http\S+$/m.exec(mail!.text)![0]);
    };
    const signIn = async (password = DEMO_PASSWORD) => {
      await fill('Username', id);
      await fill('Password', password);
      await press('Sign in');
    };

    /** Makes the sign-ins of all sessions ten minutes older. */
    const signInLongAgo = () =>
      booted.db.manager.query(
        booted.db.options.type === 'postgres'
          ? `UPDATE sessions SET "authAt" = "authAt" - interval '10 minutes'`
          : `UPDATE sessions SET "authAt" = datetime("authAt", '-10 minutes') || '.000'`,
      );

    it('resets a forgotten password', async () => {
      await open('sign-in');
      await follow('Forgot your password?');
      await showsAccessible('Reset your password');
      await fill('E-mail address', address);
      await page.keyboard.press('Enter');
      await showsAccessible('Check your mail');
      await openLink(address);
      await showsAccessible('Choose a new password');
      await fill('New password', 'short');
      await press('Set the new password');
      await showsError('New password', 'Must have at least 15 characters.');
      await fill('New password', PASSWORD);
      await press('Set the new password');
      await showsAccessible('Your password is changed');
      await follow('Sign in');
      await signIn(PASSWORD);
      await shows('Your account');
    }, 90_000);

    it('registers', async () => {
      const username = `new-${randomBytes(4).toString('hex')}`;
      const email = `${username}@new.example`;
      await open('sign-in');
      await follow('Create an account');
      await showsAccessible('Create an account');
      await fill('E-mail address', email);
      await fill('Name (optional)', 'Erin Example');
      await press('Send me a link');
      await showsAccessible('Check your mail');
      await openLink(email);
      await showsAccessible('Create your account');
      expect(await page.inputValue('[name=username]')).toBe(email);
      await fill('Username', 'bob');
      await fill('Password', PASSWORD);
      await press('Create the account');
      await showsError('Username', 'Another account has this username.');
      await fill('Username', username);
      await fill('Password', PASSWORD);
      await press('Create the account');
      await showsAccessible('Your account is ready');
      await follow('Sign in');
      id = username;
      await signIn(PASSWORD);
      await shows('Your account');
      expect(await page.textContent('main')).toContain('Erin Example');
      await openLink(email);
      await showsAccessible('This link does not work');
    }, 90_000);

    it('changes the name and the address, and signs out', async () => {
      await open('security');
      await signIn();
      await showsAccessible('Your account');
      await follow('Change name');
      await showsAccessible('Change your name');
      await fill('Name (optional)', 'Erin Example');
      await press('Save');
      await shows('Your account');
      expect(await page.textContent('main')).toContain('Erin Example');
      await follow('Change e-mail address');
      await showsAccessible('Change your e-mail address');
      await fill('New e-mail address', address);
      await press('Send the links');
      await showsError('New e-mail address', 'Must differ from the present address.');
      await fill('New e-mail address', `new-${address}`);
      await press('Send the links');
      await showsAccessible('Check your mail');
      await openLink(`new-${address}`);
      await showsAccessible('Confirm your e-mail address');
      await press('Confirm');
      await showsAccessible('One more confirmation');
      await openLink(address);
      await press('Confirm');
      await showsAccessible('Your address is changed');
      await follow('Your account');
      expect(await page.textContent('main')).toContain(`new-${address}`);
      await press('Sign out');
      await shows('Sign in');
      await open('security');
      await shows('Sign in');
    }, 90_000);

    it('ends the session only by a form of its own page', async () => {
      await open('security');
      await signIn();
      await shows('Your account');
      const cookies = await page.context().cookies();
      const Cookie = cookies.map(({ name, value }) => `${name}=${value}`).join('; ');
      const signOut = (csrf_token: string) =>
        fetch(`${booted.origin}/account/sign-out`, {
          method: 'POST',
          redirect: 'manual',
          headers: { Cookie, Origin: booted.origin },
          body: new URLSearchParams({ csrf_token }),
        });
      expect((await signOut('wrong')).status).toBe(403);
      await open('security');
      await shows('Your account');
      const other = await chrome.newPage();
      await other.goto(`${booted.origin}/account/security`);
      await other.fill('[name=username]', id);
      await other.fill('[name=password]', DEMO_PASSWORD);
      await other.getByRole('button', { name: 'Sign in', exact: true }).click();
      await other.getByRole('heading', { name: 'Your account' }).waitFor();
      await press('Sign out on all devices');
      await shows('Sign in');
      await other.reload();
      expect(await other.textContent('h1')).toBe('Sign in');
      await other.close();
    }, 90_000);

    it('deletes the account after a step-up, and keeps it', async () => {
      await open('security');
      await signIn();
      await shows('Your account');
      await signInLongAgo();
      await follow('Delete my account');
      await shows('Confirm that it is you');
      const remembered = page.locator('form', { has: page.getByLabel('Password', { exact: true }) });
      expect(await remembered.locator('[autocomplete=username]').inputValue()).toBe(id);
      await fill('Password', DEMO_PASSWORD);
      await page.keyboard.press('Enter');
      await showsAccessible('Delete your account');
      await press('Delete my account');
      await showsAccessible('Your account is disabled');
      await open('security');
      await shows('Sign in');
      await openLink(address);
      await showsAccessible('Keep your account');
      await press('Keep my account');
      await showsAccessible('Your account is kept');
      await follow('Sign in');
      await signIn();
      await shows('Your account');
    }, 90_000);

    it('signs in with the code of a mail', async () => {
      await open('change-name');
      await showsAccessible('Sign in');
      await fill('E-mail address', address);
      await press('Send me a link and a code');
      await showsAccessible('Check your mail');
      const [mail] = await mailsTo(booted, address);
      const [, code = ''] = /^code: (\d{6})$/m.exec(mail!.text) ?? [];
      await fill('Code of the mail', code === '000000' ? '000001' : '000000');
      await page.keyboard.press('Enter');
      await showsError('Code of the mail', 'This code is incorrect');
      await fill('Code of the mail', code);
      await page.keyboard.press('Enter');
      await shows('Change your name');
    }, 90_000);
  });
});
