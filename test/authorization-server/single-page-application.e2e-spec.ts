import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { chromium, type Browser, type Page } from 'playwright-core';
import { DEMO_SPA_ORIGIN } from '../../src/http/server.config.js';
import { DEMO_PASSWORD } from '../../src/users/users.demo.js';
import { boot, type Booted } from '../support/app.js';
import { describeInBrowser, executablePath } from '../support/chromium.js';

/** The library of the page, without a build step. */
const LIBRARY = readFileSync(fileURLToPath(import.meta.resolve('oauth4webapi')));

/** The application: signs in with a code and PKCE, uses the API, refreshes and revokes, and shows what it got. */
const application = (server: string) => `<!doctype html>
<title>Single-page application</title>
<script type="module">
import * as oauth from '/oauth4webapi.js';
const server = ${JSON.stringify(server)};
const issuer = new URL(server + '/oidc');
const client = { client_id: 'spa' };
const redirectUri = location.origin + '/callback';
const options = { [oauth.allowInsecureRequests]: true };
const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, options));

const signIn = async () => {
  const [verifier, state] = [oauth.generateRandomCodeVerifier(), oauth.generateRandomState()];
  sessionStorage.setItem('pending', JSON.stringify({ verifier, state }));
  const url = new URL(as.authorization_endpoint);
  url.search = new URLSearchParams({
    client_id: client.client_id,
    response_type: 'code',
    redirect_uri: redirectUri,
    scope: 'openid profile offline_access documents:read documents:write',
    prompt: 'consent',
    state,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  });
  location.assign(url);
};

const callApi = async (token, path, { method = 'GET', headers = {}, body } = {}) => {
  const response = await fetch(server + path, {
    method,
    headers: { Authorization: 'Bearer ' + token, ...(body && { 'Content-Type': 'application/json' }), ...headers },
    ...(body && { body: JSON.stringify(body) }),
  });
  const read = (name) => response.headers.get(name);
  const text = await response.text();
  return { status: response.status, read, body: text && JSON.parse(text) };
};

const use = async () => {
  const { verifier, state } = JSON.parse(sessionStorage.getItem('pending'));
  const none = oauth.None();
  const parameters = oauth.validateAuthResponse(as, client, new URL(location.href), state);
  const first = await oauth.processAuthorizationCodeResponse(
    as,
    client,
    await oauth.authorizationCodeGrantRequest(as, client, none, parameters, redirectUri, verifier, options),
  );
  const { sub } = oauth.getValidatedIdTokenClaims(first);
  const userinfo = await oauth.processUserInfoResponse(
    as,
    client,
    sub,
    await oauth.userInfoRequest(as, client, first.access_token, options),
  );
  const created = await callApi(first.access_token, '/documents', { method: 'POST', body: { title: 'Of a page' } });
  const path = created.read('Location');
  const document = await callApi(first.access_token, path);
  const changed = await callApi(first.access_token, path, {
    method: 'PATCH',
    headers: { 'If-Match': document.read('ETag') },
    body: { title: 'Changed' },
  });
  const stale = await callApi(first.access_token, path, {
    method: 'PATCH',
    headers: { 'If-Match': document.read('ETag') },
    body: { title: 'Lost' },
  });
  const second = await oauth.processRefreshTokenResponse(
    as,
    client,
    await oauth.refreshTokenGrantRequest(as, client, none, first.refresh_token, options),
  );
  const listed = await callApi(second.access_token, '/documents');
  await oauth.processRevocationResponse(
    await oauth.revocationRequest(as, client, none, second.refresh_token, options),
  );
  const afterwards = await callApi(second.access_token, '/documents');
  const withCookies = await fetch(server + '/methods', { credentials: 'include' }).then(
    ({ status }) => status,
    (error) => error.name,
  );
  return {
    userinfo,
    created: created.status,
    changed: [changed.status, changed.body.title],
    stale: [stale.status, stale.body.code],
    rotated: second.refresh_token !== first.refresh_token,
    listed: [listed.status, Array.isArray(listed.body.items ?? listed.body)],
    afterwards: [afterwards.status, afterwards.body.code, afterwards.read('WWW-Authenticate')],
    requestId: afterwards.body.requestId === afterwards.read('X-Request-Id'),
    withCookies,
  };
};

if (location.pathname === '/callback') {
  const result = await use().catch((error) => ({ failed: error.name + ': ' + error.message + ' ' + error.cause }));
  document.body.append(Object.assign(document.createElement('pre'), { id: 'result', textContent: JSON.stringify(result) }));
} else await signIn();
</script>
<body>`;

describeInBrowser('the demo client spa in a browser', () => {
  let booted: Booted;
  let pages: Server;
  let browser: Browser;
  beforeAll(async () => {
    booted = await boot({ publicUrlIsOrigin: true });
    pages = createServer(({ url }, response) => {
      const isLibrary = url === '/oauth4webapi.js';
      response.setHeader('Content-Type', isLibrary ? 'text/javascript' : 'text/html; charset=utf-8');
      response.end(isLibrary ? LIBRARY : application(booted.origin));
    });
    await once(pages.listen(0, '127.0.0.1'), 'listening');
    const { port } = pages.address() as AddressInfo;
    browser = await chromium.launch({
      executablePath,
      // The port of the registered origin may be in use on this machine.
      args: [`--host-resolver-rules=MAP ${new URL(DEMO_SPA_ORIGIN).host} 127.0.0.1:${port}`],
    });
  });
  afterAll(async () => {
    await browser.close();
    pages.close();
    await booted.close();
  });

  const signIn = async (page: Page) => {
    page.setDefaultTimeout(15_000);
    await page.getByLabel('Username').fill('bob');
    await page.getByLabel('Password').fill(DEMO_PASSWORD);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('button', { name: 'Allow' }).click();
  };

  it('signs in with PKCE, calls userinfo and the API, refreshes and revokes from its own origin', async () => {
    const page = await browser.newPage();
    await page.goto(DEMO_SPA_ORIGIN);
    await signIn(page);
    const text = await page.locator('#result').textContent();
    expect(JSON.parse(text ?? '')).toEqual({
      userinfo: expect.objectContaining({ sub: 'bob' }),
      created: 201,
      changed: [200, 'Changed'],
      stale: [412, 'precondition_failed'],
      rotated: true,
      listed: [200, true],
      afterwards: [401, 'invalid_token', expect.stringMatching(/^Bearer /)],
      requestId: true,
      withCookies: 'TypeError',
    });
    await page.close();
  });

  it('is the only origin: the same page elsewhere reads neither metadata nor the API', async () => {
    const page = await browser.newPage();
    const { port } = pages.address() as AddressInfo;
    await page.goto(`http://localhost:${port}/oauth4webapi.js`);
    const read = (path: string) =>
      page.evaluate(
        (url) =>
          fetch(url).then(
            ({ status }) => status,
            ({ name }: Error) => name,
          ),
        booted.origin + path,
      );
    for (const path of ['/oidc/.well-known/openid-configuration', '/oidc/jwks', '/methods', '/me'])
      expect([path, await read(path)]).toEqual([path, 'TypeError']);
    await page.goto(`${DEMO_SPA_ORIGIN}/oauth4webapi.js`);
    expect([await read('/oidc/jwks'), await read('/methods'), await read('/me')]).toEqual([200, 200, 401]);
    await page.close();
  });
});
