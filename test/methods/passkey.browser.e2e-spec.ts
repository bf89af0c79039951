import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { Controller, Get, Header, Query, UseFilters } from '@nestjs/common';
import {
  chromium,
  type Browser,
  type BrowserContext,
  type CDPSession,
  type Page,
  type Response,
} from 'playwright-core';
import { ExcludeFromOpenApi } from '../../src/authentication/describe.js';
import { Public } from '../../src/authentication/plan.js';
import { PASSKEY_SCRIPT_PATH } from '../../src/methods/passkey/passkey.browser.js';
import { field, submitButton } from '../../src/pages/forms.js';
import { html } from '../../src/pages/html.js';
import { contentSecurityPolicy, renderPage } from '../../src/pages/layout.js';
import { PageFilter } from '../../src/pages/page.filter.js';
import { User } from '../../src/users/user.entity.js';
import { client, type Booted } from '../support/app.js';
import { describeInBrowser, executablePath } from '../support/chromium.js';
import { withTestToken } from '../support/test-issuer.js';
import { bootWithPasskeys, passkeysOf, signedIn, someone } from './passkey.accounts.js';

const page = {
  title: 'Passkeys',
  scripts: [PASSKEY_SCRIPT_PATH],
  body: html`
    <form data-webauthn="create" data-options-path="/passkeys/options" data-path="/passkeys" id="register">
      ${field({ name: 'name', label: 'Name', autocomplete: 'off' })}
      ${submitButton({ label: 'Register a passkey' })}
    </form>
    <form
      data-webauthn="get"
      data-options-path="/auth/passkey/options"
      data-path="/auth/passkey"
      data-return-to="/tried-passkeys?signed-in"
      id="sign-in"
    >
      <input type="hidden" name="as" value="test-issuer" />
      ${submitButton({ label: 'Sign in with a passkey' })}
    </form>
  `,
};
const conditionalPage = {
  ...page,
  body: html`
    <form
      data-webauthn="get"
      data-conditional
      data-options-path="/auth/passkey/options"
      data-path="/auth/passkey"
      data-return-to="/tried-passkeys?signed-in"
    >
      <input type="hidden" name="as" value="test-issuer" />
      ${field({ name: 'username', label: 'Username', autocomplete: 'username webauthn', optional: true })}
      ${submitButton({ label: 'Sign in' })}
    </form>
  `,
};

const formPage = {
  ...page,
  body: html`
    <form method="post" data-webauthn="get" data-options-path="/auth/passkey/options">
      <input type="hidden" name="token" value="a token" />
      <input type="hidden" name="credential" />
      ${submitButton({ label: 'Continue', name: 'action', value: 'second-step' })}
    </form>
  `,
};
const TRIED = { conditional: conditionalPage, form: formPage, json: page };

@Controller('tried-passkeys')
@Public()
@ExcludeFromOpenApi()
@UseFilters(PageFilter)
class PagesWithPasskeys {
  @Get()
  @Header('Content-Type', 'text/html; charset=utf-8')
  @Header('Content-Security-Policy', contentSecurityPolicy(page))
  show(@Query('page') name: keyof typeof TRIED = 'json'): string {
    return renderPage(TRIED[name]);
  }
}

describeInBrowser('passkeys in a browser', () => {
  let booted: Booted;
  let browser: Browser;
  let context: BrowserContext;
  let tab: Page;
  let devTools: CDPSession;
  let authenticatorId: string;
  const consoleErrors: string[] = [];

  beforeAll(async () => {
    booted = await bootWithPasskeys({ publicUrlIsOrigin: true, controllers: [PagesWithPasskeys] });
    browser = await chromium.launch({ executablePath });
  });
  afterAll(async () => {
    await browser.close();
    await booted.close();
  });
  beforeEach(async () => {
    consoleErrors.length = 0;
    context = await browser.newContext();
    tab = await context.newPage();
    tab.setDefaultTimeout(10_000);
    tab.on('console', (message) => {
      if (message.type() === 'error' && !/the server responded with a status of 4/.test(message.text()))
        consoleErrors.push(message.text());
    });
    devTools = await context.newCDPSession(tab);
    await devTools.send('WebAuthn.enable');
    ({ authenticatorId } = await devTools.send('WebAuthn.addVirtualAuthenticator', {
      options: {
        protocol: 'ctap2',
        transport: 'internal',
        hasResidentKey: true,
        hasUserVerification: true,
        isUserVerified: true,
        automaticPresenceSimulation: true,
      },
    }));
  });
  afterEach(async () => {
    await context.close();
    expect(consoleErrors).toEqual([]);
  });

  const open = (query = '') => tab.goto(`${booted.origin}/tried-passkeys${query}`);
  /** Waits until the script of the page has opened the next one. Another `goto` before that would fail. */
  const opened = (url: string) => tab.waitForEvent('framenavigated', (frame) => frame.url().endsWith(url));
  const response = (path: string) =>
    tab.waitForResponse(
      (each) => new URL(each.url()).pathname === path && each.request().method() === 'POST',
    );
  /** The caller that a sign-in by the page has signed in. The body is gone with the page. */
  const callerOf = async (answer: Response) => {
    expect(answer.status()).toBe(200);
    return (await client(booted.origin, withTestToken(answer.headers()['x-test-token']!)).get('/me')).body;
  };

  /** Registers a passkey of a new account, by the page. */
  async function register(name: string): Promise<string> {
    const id = await someone(booted);
    const { browser: signedInBrowser } = await signedIn(booted, id);
    await context.setExtraHTTPHeaders(signedInBrowser.headers);
    await open();
    await tab.fill('#register [name=name]', name);
    const [created] = await Promise.all([
      response('/passkeys'),
      opened('/tried-passkeys'),
      tab.click('#register button'),
    ]);
    expect(created.status()).toBe(201);
    await context.setExtraHTTPHeaders({});
    return id;
  }

  async function signIn(): Promise<Response> {
    await open();
    const [answer] = await Promise.all([
      response('/auth/passkey'),
      opened('?signed-in'),
      tab.click('#sign-in button'),
    ]);
    return answer;
  }

  it('registers a passkey, and signs in without a username', async () => {
    const id = await register('laptop');
    expect(await passkeysOf(booted, id)).toMatchObject([
      { name: 'laptop', algorithm: -7, transports: ['internal'], backupEligible: false },
    ]);
    expect(await callerOf(await signIn())).toMatchObject({ id, proofs: [{ amr: ['swk', 'user', 'mfa'] }] });
  });

  it('offers passkeys in the input of the username', async () => {
    const id = await register('phone');
    const [answer] = await Promise.all([
      response('/auth/passkey'),
      opened('?signed-in'),
      // The authenticator may sign in before the page has loaded.
      tab.goto(`${booted.origin}/tried-passkeys?page=conditional`, { waitUntil: 'commit' }),
    ]);
    expect(await callerOf(answer)).toMatchObject({ id });
  });

  it('sends a form with the field credential, and its button', async () => {
    const id = await register('laptop');
    await open('?page=form');
    const [sent] = await Promise.all([
      tab.waitForRequest((each) => each.method() === 'POST' && each.isNavigationRequest()),
      tab.click('button'),
    ]);
    const { credential, ...others } = Object.fromEntries(new URLSearchParams(sent.postData()!));
    expect(others).toEqual({ token: 'a token', action: 'second-step' });
    const [stored] = await passkeysOf(booted, id);
    expect(JSON.parse(credential!)).toMatchObject({ id: stored!.credentialId, type: 'public-key' });
  });

  it('signs nothing without user verification', async () => {
    const id = await register('laptop');
    await devTools.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified: false });
    await open();
    await tab.click('#sign-in button');
    await tab.getByRole('alert').getByText('No passkey was used.').waitFor();
    expect((await passkeysOf(booted, id))[0]!.lastUsedAt).toBeNull();
  });

  it('shows the error of the server', async () => {
    await register('laptop');
    await booted.db.sql`DELETE FROM passkeys`;
    await open();
    await tab.click('#sign-in button');
    await tab.getByRole('alert').getByText('The credential is invalid.').waitFor();
  });

  it('does not register an authenticator twice for one account', async () => {
    const id = await register('laptop');
    const { browser: signedInBrowser } = await signedIn(booted, id, { amr: ['pwd', 'mfa'] });
    await context.setExtraHTTPHeaders(signedInBrowser.headers);
    await open();
    await tab.fill('#register [name=name]', 'again');
    await tab.click('#register button');
    await tab.getByRole('alert').waitFor();
    expect(await passkeysOf(booted, id)).toHaveLength(1);
  });

  it('keeps the passkeys of two accounts apart', async () => {
    const [first, second] = [await register('first'), await register('second')];
    expect([first, second]).toContain((await callerOf(await signIn())).id);
    for (const id of [first, second]) {
      await booted.db.manager.update(User, { id }, { mfaSince: new Date() });
      const { browser: signedInBrowser, api } = await signedIn(booted, id, { amr: ['pwd', 'mfa'] });
      await context.setExtraHTTPHeaders(signedInBrowser.headers);
      await open();
      // The list of the second factor has the passkey of one account.
      const result = await tab.evaluate(async () => {
        const post = (path: string, body: object) =>
          fetch(path, {
            method: 'POST',
            headers: { 'Content-Type': 'application/json' },
            body: JSON.stringify(body),
          });
        const options = await (await post('/auth/step-up/options', { factor: 'passkey' })).json();
        const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
        const credential = await navigator.credentials.get({ publicKey });
        return (await post('/auth/step-up', { factor: 'passkey', credential })).status;
      });
      expect(result).toBe(200);
      expect((await api.get('/me')).body.id).toBe(id);
      await context.setExtraHTTPHeaders({});
    }
  });
});
