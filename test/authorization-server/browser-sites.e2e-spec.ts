import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';
import { DEMO_PASSWORD } from '../../src/users/users.demo.js';
import { ClientsService } from '../../src/authorization-server/clients/clients.service.js';
import { OauthRecord } from '../../src/authorization-server/storage/oauth-record.entity.js';
import { boot, type Booted } from '../support/app.js';
import { freePort } from '../support/free-port.js';
import { serverIdentity } from '../support/certificate.js';
import { describeInBrowser, executablePath } from '../support/chromium.js';
import { CHALLENGE } from './flows.js';

describeInBrowser('two hosts of one site in a browser', () => {
  let booted: Booted;
  let evil: Server;
  let browser: Browser;
  let auth: string;
  let evilOrigin: string;
  let application: Server;
  let callback: string;
  /** The `Set-Cookie` lines of the next page of the evil host, and the page that it redirects to. */
  let planted: { cookies: string[]; next: string };
  beforeAll(async () => {
    const port = await freePort();
    auth = `https://auth.example.test:${port}`;
    booted = await boot({ env: { PUBLIC_URL: auth, TLS_PORT: String(port) } });
    const certificate = await serverIdentity();
    application = createServer(certificate, (_request, response) => response.end('The application.'));
    await once(application.listen(0, '127.0.0.1'), 'listening');
    callback = `https://localhost:${(application.address() as AddressInfo).port}/callback`;
    await booted.app.get(ClientsService, { strict: false }).upsert('tried', {
      token_endpoint_auth_method: 'none',
      redirect_uris: [callback],
      grant_types: ['authorization_code'],
      resource_scopes: 'documents:read',
    });
    evil = createServer(certificate, (_request, response) => {
      response.writeHead(303, { Location: planted.next, 'Set-Cookie': planted.cookies }).end();
    });
    await once(evil.listen(0, '127.0.0.1'), 'listening');
    evilOrigin = `https://evil.example.test:${(evil.address() as AddressInfo).port}`;
    browser = await chromium.launch({
      executablePath,
      args: ['--host-resolver-rules=MAP *.example.test 127.0.0.1'],
    });
  });
  afterAll(async () => {
    await browser.close();
    evil.close();
    application.close();
    await booted.close();
  });

  let attacker: BrowserContext;
  let victim: BrowserContext;
  let page: Page;
  beforeEach(async () => {
    attacker = await browser.newContext({ ignoreHTTPSErrors: true, bypassCSP: true });
    victim = await browser.newContext({ ignoreHTTPSErrors: true });
    page = await victim.newPage();
    page.setDefaultTimeout(10_000);
  });
  afterEach(async () => {
    await attacker.close();
    await victim.close();
  });

  const request = () =>
    `/oidc/auth?${new URLSearchParams({
      client_id: 'tried',
      response_type: 'code',
      redirect_uri: callback,
      scope: 'openid documents:read',
      code_challenge: CHALLENGE,
      code_challenge_method: 'S256',
    }).toString()}`;

  const signIn = async (at: Page, username: string) => {
    await at.getByLabel('Username').fill(username);
    await at.getByLabel('Password').fill(DEMO_PASSWORD);
    await at.getByRole('button', { name: 'Sign in' }).click();
  };
  /** Starts a sign-in. @returns the URL of the sign-in page, and the cookies that a host may set for its whole site */
  const start = async (context: BrowserContext) => {
    const own = await context.newPage();
    await own.goto(auth + request());
    const cookies = await context.cookies();
    return { own, url: own.url(), cookies };
  };
  type Cookies = Awaited<ReturnType<BrowserContext['cookies']>>;
  const forSite = (cookies: Cookies, name: RegExp) =>
    cookies
      .filter((cookie) => name.test(cookie.name))
      .map((cookie) => `${cookie.name}=${cookie.value}; Domain=example.test; Path=${cookie.path}; Secure`);
  const plant = async (cookies: string[], next: string) => {
    planted = { cookies, next };
    await page.goto(evilOrigin);
    expect(page.url()).toBe(next);
  };
  const expectEnded = async () => {
    expect(await page.getByRole('alert').textContent()).toBe(
      'This sign-in has ended, or it was started in another browser.',
    );
    expect(await page.getByLabel('Password').count()).toBe(0);
  };

  it('a sibling host plants an interaction, and the victim sees no sign-in page', async () => {
    const { own, url, cookies } = await start(attacker);
    await plant(forSite(cookies, /interaction/), url);
    expect((await victim.cookies(url)).map(({ name }) => name)).toContain('__Secure-oauth-interaction');
    await expectEnded();
    await own.goto(url.replace('/interaction/', '/oidc/auth/'));
    expect(await own.getByLabel('Password').count()).toBe(1);
    expect(await booted.db.manager.countBy(OauthRecord, { kind: 'AuthorizationCode' })).toBe(0);
  });

  it('a sibling host cannot plant the secret, in any spelling', async () => {
    const { url, cookies } = await start(attacker);
    const { value } = cookies.find(({ name }) => name === '__Host-oauth-browser')!;
    const spellings = [
      '__Host-oauth-browser',
      '__host-oauth-browser',
      '__HOST-oauth-browser',
      '\u00a0__Host-oauth-browser',
      '=__Host-oauth-browser',
    ];
    const secrets = spellings.map(
      (name) => `${name}=${value}; Domain=example.test; Path=/interaction; Secure`,
    );
    await plant([...forSite(cookies, /interaction/), ...secrets], url);
    await expectEnded();
  });

  it('a sibling host cannot sign the victim in as the attacker', async () => {
    const { own, url, cookies } = await start(attacker);
    const resumption = url.replace('/interaction/', '/oidc/auth/');
    // The attacker signs in, and stops before the resumption.
    const stopped = await own.evaluate(
      async (login) => {
        const token = document.querySelector<HTMLInputElement>('[name=token]')!.value;
        const body = new URLSearchParams({ ...login, token, action: 'sign-in' });
        return (await fetch(location.href, { method: 'POST', redirect: 'manual', body })).type;
      },
      { username: 'mallory', password: DEMO_PASSWORD },
    );
    expect(stopped).toBe('opaqueredirect');
    await plant(forSite(cookies, /resume/), resumption);
    await expectEnded();
    await page.goto(auth + request());
    expect(await page.getByLabel('Password').count()).toBe(1);
  });

  it('the victim signs in after the attack, and in two tabs at once', async () => {
    const { url, cookies } = await start(attacker);
    await plant(forSite(cookies, /interaction|resume/), url);
    await expectEnded();
    const other = await victim.newPage();
    for (const tab of [page, other]) await tab.goto(auth + request());
    for (const tab of [other, page]) {
      await signIn(tab, 'alice');
      const allow = tab.getByRole('button', { name: 'Allow' });
      await allow.or(tab.getByText('The application.')).waitFor();
      if (await allow.count()) await allow.click();
      await tab.getByText('The application.').waitFor();
      expect(new URL(tab.url()).searchParams.get('code')).toMatch(/^[\w-]{43}$/);
    }
  });
});
