import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';
import { INSTALLED_METHODS } from '../../src/app.module.js';
import { Authenticator } from '../../src/authentication/authenticator.js';
import { IssuerRegistry } from '../../src/authentication/issuer-registry.js';
import { MailService } from '../../src/mail/mail.service.js';
import { expectAccessible } from '../support/accessibility.js';
import { boot, testMethod, type Booted } from '../support/app.js';
import { describeInBrowser, executablePath } from '../support/chromium.js';
import { testCookieIssuer } from '../support/test-issuer.js';

const EMAIL = 'bob@acme.example';

describeInBrowser('magic-link in a browser', () => {
  let booted: Booted;
  let browser: Browser;
  let issuer: string;
  beforeAll(async () => {
    booted = await boot({
      methods: [...INSTALLED_METHODS, testCookieIssuer, testMethod],
      publicUrlIsOrigin: true,
    });
    // The session, if it is installed: it checks the origin of a sign-in.
    const isAmbient = (name: never) => booted.app.get(Authenticator).strategyOf(name).ambient;
    issuer = booted.app.get(IssuerRegistry).names.find((name) => isAmbient(name as never))!;
    browser = await chromium.launch({ executablePath });
  });
  afterAll(async () => {
    await browser.close();
    await booted.close();
  });

  /** Requests a mail as this browser, which stores the cookie. */
  const requestFrom = async (context: BrowserContext) => {
    const data = { email: EMAIL, as: issuer, returnTo: '/me' };
    const response = await context.request.post(`${booted.origin}/auth/magic-link`, { data });
    expect(response.status()).toBe(202);
    await booted.app.get(MailService, { strict: false }).flush();
  };
  /** Opens the newest mail in the mailbox page, and follows its link. */
  const followLink = async (page: Page) => {
    await page.goto(`${booted.origin}/dev/mail?to=${EMAIL}`);
    await page.getByRole('link', { name: 'Sign in to Auth Atlas' }).first().click();
    await page.getByRole('link', { name: '/auth/magic-link?token=' }).click();
  };

  it('signs in with the link of the mail, and sends its token to no other page', async () => {
    const context = await browser.newContext();
    const page = await context.newPage();
    page.setDefaultTimeout(5_000);
    const errors: string[] = [];
    page.on('console', (message) => void (message.type() === 'error' && errors.push(message.text())));
    const referrers: string[] = [];
    page.on('request', (request) => void referrers.push(request.headers()['referer'] ?? ''));
    await requestFrom(context);
    await followLink(page);
    await expectAccessible(page);
    const [posted] = await Promise.all([
      page.waitForRequest((request) => request.method() === 'POST'),
      page.getByRole('button', { name: 'Sign in' }).click(),
    ]);
    expect((await posted.allHeaders())['origin']).toBe(booted.origin);
    await page.waitForURL(`${booted.origin}/me`);
    expect(await page.textContent('body')).toContain('"id":"bob"');
    expect(referrers.join()).not.toContain('token=');
    expect(errors).toEqual([]);
    await context.close();
  });

  it('shows another browser where to continue', async () => {
    const [first, second] = [await browser.newContext(), await browser.newContext()];
    const other = await second.newPage();
    other.setDefaultTimeout(5_000);
    await requestFrom(first);
    await followLink(other);
    expect(await other.getByRole('heading', { level: 1 }).textContent()).toBe(
      'Continue in the other browser',
    );
    expect(await other.getByRole('button').count()).toBe(0);
    await expectAccessible(other);
    await other.goto(`${booted.origin}/auth/magic-link?token=none`);
    expect(await other.getByRole('alert').textContent()).toContain('This link is no longer valid.');
    await expectAccessible(other);
    await first.close();
    await second.close();
  });
});
