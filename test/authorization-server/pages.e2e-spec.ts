import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { AuditEvent } from '../../src/audit/audit-event.entity.js';
import { AuditLog } from '../../src/audit/audit-log.service.js';
import { DEMO_PASSWORD } from '../../src/users/users.demo.js';
import { ClientsService } from '../../src/authorization-server/clients/clients.service.js';
import { PasswordHashing } from '../../src/passwords/password-hashing.service.js';
import { Password } from '../../src/passwords/password.entity.js';
import { User } from '../../src/users/user.entity.js';
import { boot, type Booted } from '../support/app.js';
import { Browser, signIn, type Page } from './browser.js';
import { claimsOf, oauthAt } from './flows.js';

const HOSTILE = `"><script>alert(1)</script><b title='`;

/** The only script of a page: a file of this server. */
const OWN_SCRIPT = '<script type="module" src="/pages/passkey.js"></script>';

describe('the pages of the authorization server', () => {
  let booted: Booted;
  let oauth: ReturnType<typeof oauthAt>;
  let log = '';
  beforeAll(async () => {
    booted = await boot({ publicUrlIsOrigin: true, logTo: { write: (line) => void (log += line) } });
    oauth = oauthAt(booted.origin);
  });
  afterAll(() => booted.close());

  const request = (more: Record<string, string> = {}) => oauth.authorization(more);
  const api = (scope: string) => `${booted.origin} ${scope}`;

  /** A browser on the sign-in page. */
  const atSignIn = async (more: Record<string, string> = {}) => {
    const browser = new Browser(booted.origin);
    return { browser, page: await browser.page(request(more)) };
  };

  /** A browser on the consent page, with bob signed in. */
  const atConsent = async (more: Record<string, string> = {}) => {
    const { browser, page } = await atSignIn(more);
    const next = await browser.submit(page, { username: 'bob', password: DEMO_PASSWORD }, 'Sign in');
    return { browser, page: next as Page };
  };

  /** Creates an account with the demo password. */
  const createAccount = async (own: Partial<User> & { id: string }) => {
    const user = {
      username: own.id,
      tenantId: 'acme',
      roles: [],
      disabledAt: null,
      epoch: 0,
      kind: 'user' as const,
    };
    await booted.db.manager.insert(User, { ...user, ...own });
    const hash = await booted.app.get(PasswordHashing).hash(DEMO_PASSWORD);
    await booted.db.manager.insert(Password, { userId: own.id, hash, changedAt: new Date() });
  };

  const tokensOf = async (callback: URL) => {
    const { status, body } = await oauth.redeem(callback.searchParams.get('code') ?? '');
    expect(status).toBe(200);
    return body as Record<string, string>;
  };

  const events = async (event: AuditEvent['event']) => {
    await booted.app.get(AuditLog).flush();
    return booted.db.manager.find(AuditEvent, { where: { event }, order: { seq: 'DESC' }, take: 5 });
  };

  describe('the sign-in page', () => {
    it('redirects to the application with a code', async () => {
      const { callback } = await signIn(booted, request());
      expect(callback.origin + callback.pathname).toBe('http://localhost:4000/callback');
      expect(Object.fromEntries(callback.searchParams)).toMatchObject({
        state: 'of the application',
        iss: `${booted.origin}/oidc`,
      });
      const body = await tokensOf(callback);
      expect(body['scope']).toBe('openid documents:read documents:write');
      expect(claimsOf(body['id_token'])).toMatchObject({ sub: 'bob', aud: 'web' });
      const [event] = await events('authn_login_success');
      expect(event).toMatchObject({ userId: 'bob', method: 'password', details: { as: 'oauth' } });
    });

    it('responds alike to every failed sign-in', async () => {
      await createAccount({ id: 'a-machine', kind: 'client' });
      await createAccount({ id: 'disabled', disabledAt: new Date() });
      const { browser, page } = await atSignIn();
      const texts: string[] = [];
      for (const [username, password] of [
        ['bob', 'wrong'],
        ['nobody', DEMO_PASSWORD],
        ['a-machine', DEMO_PASSWORD],
        ['disabled', DEMO_PASSWORD],
        ['bob', ''],
      ] as const) {
        const again = (await browser.submit(page, { username, password })) as Page;
        expect(again.status).toBe(422);
        expect(again.text).toContain(`value="${username}"`);
        const text = again.text.replaceAll(`value="${username}"`, '');
        // Each page has a challenge of its own.
        texts.push(text.replace(/challenge&quot;:&quot;[\w-]+/, ''));
      }
      expect(texts[0]).toContain('The username or the password is incorrect.');
      expect(new Set(texts).size).toBe(1);
      const failures = await events('authn_login_fail');
      expect(failures.map(({ userId }) => userId)).toEqual(['bob', 'disabled', 'a-machine', null, 'bob']);
      expect(log).not.toContain(DEMO_PASSWORD);
      expect(JSON.stringify(failures)).not.toContain(DEMO_PASSWORD);
    });

    it('limits failed sign-ins', async () => {
      await createAccount({ id: 'guessed' });
      const { browser, page } = await atSignIn();
      const guess = async (password: string) =>
        (await browser.submit(page, { username: 'guessed', password })) as Page;
      for (let guesses = 0; guesses < 10; guesses++) expect((await guess('wrong')).status).toBe(422);
      const rejected = await guess(DEMO_PASSWORD);
      expect(rejected.status).toBe(429);
      expect(Number(rejected.headers.get('retry-after'))).toBeGreaterThan(0);
      expect(rejected.text).toContain('Wait a while');
    });

    it('creates a new session id at sign-in', async () => {
      const browser = new Browser(booted.origin);
      await browser.page('/oidc/device');
      const planted = browser.cookies.filter(({ name }) => name.startsWith('oauth-session'));
      expect(planted).toHaveLength(2);
      await signIn(booted, request(), 'bob', { browser });
      const now = browser.cookies.find(({ name }) => name === 'oauth-session-dev')!;
      expect(now.value).not.toBe(planted.find(({ name }) => name === 'oauth-session-dev')!.value);
      const other = new Browser(booted.origin);
      other.cookies = planted;
      expect((await other.open(request({ prompt: 'none' }))) as URL).toMatchObject({
        search: expect.stringContaining('error=login_required'),
      });
    });

    it('lets another user sign in', async () => {
      const { browser, page } = await atConsent();
      expect(page.text).toContain('You are signed in as <strong>bob</strong>');
      const form = await browser.page(`${page.url.href}?as=other`);
      const step = (await browser.submit(form, { username: 'alice', password: DEMO_PASSWORD })) as Page;
      expect(step.text).toContain('Another person is signed in');
      const consent = (await browser.submit(step)) as Page;
      expect(consent.text).toContain('You are signed in as <strong>alice</strong>');
      const callback = (await browser.submit(consent)) as URL;
      expect(claimsOf((await tokensOf(callback))['id_token'])['sub']).toBe('alice');
    });

    it('lets another user sign in although the first one gave a consent', async () => {
      const { browser } = await signIn(booted, request(), 'bob');
      const { callback } = await signIn(booted, request({ prompt: 'login' }), 'alice', { browser });
      expect(claimsOf((await tokensOf(callback))['id_token'])['sub']).toBe('alice');
    });
  });

  describe('the consent page', () => {
    it('lists the requested scopes in plain words', async () => {
      const scope = 'openid profile offline_access documents:read';
      const { page } = await atConsent({ scope, prompt: 'consent' });
      for (const words of [
        'Allow Demo web application?',
        'recognize you when you sign in',
        'see your name, your username and your organization',
        'keep its access when you are away, until you revoke it',
        'read the documents that you can read',
      ])
        expect(page.text).toContain(words);
      expect(page.text).not.toContain('audit log');
    });

    it('lists requested claims', async () => {
      const claims = JSON.stringify({ id_token: { preferred_username: null, name: null } });
      const { browser, page } = await atConsent({ claims });
      expect(page.text).toContain('see your username');
      expect(page.text).toContain('see your name');
      const body = await tokensOf((await browser.submit(page, {}, 'Allow')) as URL);
      expect(claimsOf(body['id_token'])['preferred_username']).toBe('bob');
    });

    it('returns access_denied after Deny and Cancel', async () => {
      const { callback } = await signIn(booted, request(), 'bob', { press: 'Deny' });
      expect(callback.searchParams.get('error')).toBe('access_denied');
      expect(callback.searchParams.has('code')).toBe(false);
      const { browser, page } = await atSignIn();
      const cancelled = (await browser.submit(page, {}, 'Cancel')) as URL;
      expect(cancelled.searchParams.get('error')).toBe('access_denied');
    });

    it('grants only the checked scopes, and asks again only with prompt=consent', async () => {
      const { callback, browser } = await signIn(booted, request(), 'bob', {
        scopes: [api('documents:read'), api('audit:read')],
      });
      expect((await tokensOf(callback))['scope']).toBe('openid documents:read');
      const [event] = await events('authz_change');
      expect(event).toMatchObject({
        userId: 'bob',
        target: 'oauth-client:web',
        details: { allowed: [' openid', api('documents:read')], denied: [api('documents:write')] },
      });
      expect((await tokensOf((await browser.open(request())) as URL))['scope']).toBe('openid documents:read');

      const again = await browser.page(request({ prompt: 'consent' }));
      expect(again.form!.fields.filter(([name]) => name === 'scope')).toEqual([
        ['scope', api('documents:read')],
        ['scope', api('documents:write')],
      ]);
      const turned = (await browser.submit(again, { scope: [api('documents:write')] }, 'Allow')) as URL;
      expect((await tokensOf(turned))['scope']).toBe('openid documents:write');
    });

    it('asks only for new scopes, and lists the earlier ones', async () => {
      const { browser } = await signIn(booted, request({ scope: 'openid documents:read' }));
      expect(await browser.open(request({ scope: 'openid documents:read' }))).toBeInstanceOf(URL);
      const more = await browser.page(request({ scope: 'openid documents:read documents:delete' }));
      expect(more.form!.fields.filter(([name]) => name === 'scope')).toEqual([
        ['scope', api('documents:delete')],
      ]);
      expect(more.text.split('You have already allowed it to')[1]).toContain(
        'read the documents that you can read',
      );
      const body = await tokensOf((await browser.submit(more, {}, 'Allow')) as URL);
      expect(body['scope']).toBe('openid documents:read documents:delete');
    });
  });

  describe('the device pages', () => {
    it('deny a device after No', async () => {
      const { body } = await oauth.post('/device/auth', { client_id: 'device', scope: 'openid' });
      const { user_code, device_code, verification_uri_complete } = body as Record<string, string>;
      const browser = new Browser(booted.origin);
      const step = await browser.page(verification_uri_complete!);
      const confirm = (await browser.submit(step)) as Page;
      expect(confirm.text).toContain(`<p class="user-code">${user_code}</p>`);
      expect(((await browser.submit(confirm, {}, 'No')) as Page).text).toContain(
        'Your device is not connected',
      );
      const grant_type = 'urn:ietf:params:oauth:grant-type:device_code';
      const polled = await oauth.post('/token', {
        grant_type,
        client_id: 'device',
        device_code: device_code!,
      });
      expect([polled.status, polled.body.error]).toEqual([400, 'access_denied']);
    });

    it('explain what is wrong with a code', async () => {
      const browser = new Browser(booted.origin);
      for (const [user_code, says] of [
        ['BBBB-BBBB', 'There is no such code.'],
        ['', 'Type in the code'],
      ] as const) {
        const again = (await browser.submit(await browser.page('/oidc/device'), { user_code })) as Page;
        expect(again.status).toBe(422);
        expect(again.text).toMatch(/<p class="error" id="error" role="alert">/);
        expect(again.text).toContain(says);
        expect(again.text).toContain('aria-describedby="error"');
      }
    });
  });

  describe('attacks', () => {
    const post = (browser: Browser, url: URL, form: Record<string, string>, headers = {}) =>
      browser.post(url, new URLSearchParams(form), headers);
    const fieldsOf = (page: Page): Record<string, string> => Object.fromEntries(page.form!.fields);
    const codeOf = async (response: Response) => {
      const text = await response.text();
      return [response.status, /<p class="code">(.*)<\/p>/.exec(text)?.[1]];
    };

    it('respond 404 to interactions of other browsers and finished ones', async () => {
      const [mine, other] = [await atConsent(), await atConsent()];
      const allow = { ...fieldsOf(mine.page), action: 'allow' };
      const none = [404, 'interaction_not_found'];
      expect(await codeOf(await post(new Browser(booted.origin), mine.page.url, allow))).toEqual(none);
      expect(await codeOf(await post(other.browser, mine.page.url, allow))).toEqual(none);
      const tampered = new URL(mine.page.url.href.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A')));
      expect(await codeOf(await post(mine.browser, tampered, allow))).toEqual(none);
      // Cookies of another interaction are rejected even if their path is widened.
      const moved = other.browser.cookies.map((cookie) => [cookie.name, { ...cookie, path: '/' }] as const);
      other.browser.cookies = [...new Map(moved).values()];
      expect(await codeOf(await post(other.browser, mine.page.url, allow))).toEqual(none);
      const forged = new Browser(booted.origin);
      const uid = mine.page.url.pathname.split('/').at(-1)!;
      forged.cookies = [{ name: 'oauth-interaction-dev', value: uid, path: '/' }];
      expect(await codeOf(await post(forged, mine.page.url, allow))).toEqual(none);

      const cookies = [...mine.browser.cookies];
      const callback = (await mine.browser.submit(mine.page, {}, 'Allow')) as URL;
      expect(callback.searchParams.has('code')).toBe(true);
      mine.browser.cookies = cookies;
      expect(await codeOf(await post(mine.browser, mine.page.url, allow))).toEqual(none);
      expect(await codeOf(await mine.browser.send('GET', mine.page.url))).toEqual(none);
      const scripted = await fetch(mine.page.url);
      expect([scripted.status, ((await scripted.json()) as { code: string }).code]).toEqual(none);
    });

    it('reject a consent sent by the sign-in form', async () => {
      const { browser, page } = await atSignIn();
      const response = await post(browser, page.url, { ...fieldsOf(page), action: 'allow' });
      expect(await codeOf(response)).toEqual([409, 'invalid_request']);
    });

    it('reject cross-site forms and forms without the page’s token', async () => {
      const { browser, page } = await atConsent();
      const elsewhere = (await atConsent()).page;
      const besides = await browser.page(
        request({ client_id: 'spa', redirect_uri: 'http://localhost:5173/callback' }),
      );
      const good: Record<string, string> = { ...fieldsOf(page), action: 'allow' };
      for (const token of [
        '',
        'x',
        `${good['token']}x`,
        fieldsOf(elsewhere)['token']!,
        fieldsOf(besides)['token']!,
      ])
        expect(await codeOf(await post(browser, page.url, { ...good, token }))).toEqual([
          403,
          'invalid_form_token',
        ]);
      expect(await codeOf(await post(browser, page.url, { action: 'allow' }))).toEqual([
        403,
        'invalid_form_token',
      ]);
      for (const headers of [
        { 'Sec-Fetch-Site': 'cross-site' },
        { 'Sec-Fetch-Site': 'same-site' },
        { 'Sec-Fetch-Site': 'none' },
        { Origin: 'https://evil.example' },
        { Origin: 'null' },
      ])
        expect(await codeOf(await post(browser, page.url, good, headers))).toEqual([
          403,
          'invalid_form_token',
        ]);
      expect((await post(browser, page.url, good)).status).toBe(303);
    });

    it('reject cross-site sign-ins', async () => {
      const { browser, page } = await atSignIn();
      const form = { ...fieldsOf(page), username: 'mallory', password: DEMO_PASSWORD, action: 'sign-in' };
      const response = await post(browser, page.url, form, { 'Sec-Fetch-Site': 'cross-site' });
      expect(await codeOf(response)).toEqual([403, 'invalid_form_token']);
    });

    it('reject device and sign-out forms without their token', async () => {
      const { browser } = await signIn(booted, request());
      for (const path of ['/oidc/device', '/oidc/session/end/confirm']) {
        const response = await post(browser, new URL(path, booted.origin), { logout: 'yes', user_code: 'x' });
        expect([path, response.status]).toEqual([path, 400]);
      }
      expect(await browser.open(request({ prompt: 'none' }))).toMatchObject({
        search: expect.stringContaining('code='),
      });
    });

    it('forbid frames, scripts and foreign form targets', async () => {
      const { browser, page: consent } = await atConsent();
      const pages = [
        (await atSignIn()).page,
        consent,
        await browser.page('/oidc/device'),
        await browser.page('/oidc/session/end'),
        await browser.page('/oidc/session/end/success'),
        await browser.page('/oidc/auth?client_id=nobody'),
        await browser.page('/interaction/none'),
      ];
      for (const { headers, text, url } of pages) {
        const policy = headers.get('content-security-policy');
        expect([url.pathname, policy]).toEqual([
          url.pathname,
          expect.stringMatching(
            /^default-src 'none'; style-src 'self';( script-src 'self'; connect-src 'self';)? form-action 'self'( http:\/\/localhost:4000)?; frame-ancestors 'none'; base-uri 'none'$/,
          ),
        ]);
        expect(headers.get('x-frame-options')?.toLowerCase()).toBe('deny');
        expect(headers.get('cache-control')).toContain('no-store');
        expect(text.replace(OWN_SCRIPT, '')).not.toMatch(/<script|style=|<style| on\w+=/);
      }
    });

    it('escape text from applications and links', async () => {
      await booted.app.get(ClientsService, { strict: false }).upsert('hostile', {
        client_name: HOSTILE,
        client_uri: 'http://localhost:4000/?"><script>',
        token_endpoint_auth_method: 'none',
        redirect_uris: ['http://localhost:4000/callback'],
        grant_types: ['authorization_code'],
        resource_scopes: 'documents:read',
      });
      const { browser, page } = await atSignIn({
        client_id: 'hostile',
        login_hint: HOSTILE,
        scope: 'openid',
      });
      const consent = await browser.submit(page, { username: 'bob', password: DEMO_PASSWORD }, 'Sign in');
      const device = await browser.page('/oidc/device');
      const pages = [
        page,
        consent as Page,
        await browser.submit(device, { user_code: HOSTILE }),
        await browser.page(`/oidc/device?user_code=${encodeURIComponent(HOSTILE)}`),
        await browser.page(`/oidc/session/end?client_id=hostile&state=${encodeURIComponent(HOSTILE)}`),
        await browser.page(`/oidc/auth?client_id=${encodeURIComponent(HOSTILE)}`),
        await browser.page(request({ redirect_uri: `https://evil.example/${HOSTILE}` })),
        await browser.page(`/interaction/none?as=${encodeURIComponent(HOSTILE)}`),
      ] as Page[];
      for (const { text } of pages) expect(text.replace(OWN_SCRIPT, '')).not.toMatch(/<script|<b title/);
      expect(page.text).toContain('value="&quot;&gt;&lt;script&gt;');
      expect((consent as Page).text).toContain('&lt;script&gt;alert(1)');
    });

    it('post form_post responses without a script, and reject web_message', async () => {
      const { browser } = await signIn(booted, request());
      const page = await browser.page(request({ response_mode: 'form_post' }));
      expect(page.form!.action).toBe('http://localhost:4000/callback');
      expect(page.text).not.toContain('<script');
      expect(page.headers.get('content-security-policy')).toContain(
        "form-action 'self' http://localhost:4000;",
      );
      const posted = new URLSearchParams(((await browser.submit(page)) as URL).hash.slice(1));
      expect(posted.get('code')).toMatch(/^[\w-]{43}$/);
      const rejected = (await browser.open(request({ response_mode: 'web_message' }))) as URL;
      expect(rejected.searchParams.get('error')).toBe('unsupported_response_mode');
    });

    it('reject bodies that are not forms', async () => {
      const { browser, page } = await atConsent();
      const response = await fetch(page.url, {
        method: 'POST',
        headers: {
          'Content-Type': 'application/json',
          Cookie: browser.cookies.map(({ name, value }) => `${name}=${value}`).join('; '),
        },
        body: JSON.stringify({ ...fieldsOf(page), action: 'allow' }),
      });
      expect(response.status).toBe(415);
    });
  });
});
