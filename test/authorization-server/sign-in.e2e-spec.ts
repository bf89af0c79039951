import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { KnownNetwork } from '../../src/accounts/known-network.entity.js';
import { NoticesService } from '../../src/accounts/notices.service.js';
import { Settings } from '../../src/config/settings.js';
import { DEMO_PASSWORD } from '../../src/users/users.demo.js';
import { cookies } from '../../src/authorization-server/provider/http-security.js';
import { withRequestState } from '../../src/authorization-server/provider/provider-request.js';
import { OauthRecord } from '../../src/authorization-server/storage/oauth-record.entity.js';
import { AdapterFactory } from '../../src/authorization-server/storage/adapter-factory.service.js';
import { PasswordsService } from '../../src/passwords/passwords.service.js';
import { endAllSignIns } from '../../src/users/end-sign-ins.js';
import { boot, type Booted } from '../support/app.js';
import { Browser, signIn, type Page } from './browser.js';
import { claimsOf, oauthAt } from './flows.js';

describe('the sign-in at the authorization server', () => {
  let booted: Booted;
  let oauth: ReturnType<typeof oauthAt>;
  beforeAll(async () => {
    booted = await boot({ publicUrlIsOrigin: true });
    oauth = oauthAt(booted.origin);
  });
  afterAll(() => booted.close());

  const request = (more: Record<string, string> = {}) => oauth.authorization({ scope: 'openid', ...more });
  const idTokenOf = async (callback: URL) => {
    const { body } = await oauth.redeem(callback.searchParams.get('code') ?? '');
    return (body as Record<string, string>)['id_token'] ?? '';
  };
  const errorAt = (there: Page | URL) =>
    there instanceof URL ? there.searchParams.get('error') : there.text;
  const isSignIn = (there: Page | URL) => !(there instanceof URL) && there.text.includes('>Sign in</h1>');

  describe('is required', () => {
    it('once per session', async () => {
      const { browser } = await signIn(booted, request());
      expect((await browser.open(request())) as URL).toMatchObject({
        search: expect.stringContaining('code='),
      });
    });

    it('again with prompt=login and after max_age', async () => {
      const { browser, callback } = await signIn(booted, request());
      const first = claimsOf(await idTokenOf(callback));
      for (const more of [{ prompt: 'login' }, { max_age: '0' }] as Record<string, string>[]) {
        // A session of the current second still satisfies max_age=0.
        if ('max_age' in more) await yesterday(browser);
        const page = (await browser.open(request(more))) as Page;
        expect(isSignIn(page)).toBe(true);
        const again = await signIn(booted, request(more), 'bob', { browser });
        const claims = claimsOf(await idTokenOf(again.callback));
        expect(claims['auth_time']).toBeGreaterThanOrEqual(Number(first['iat']) - 1);
      }
      await yesterday(browser);
      expect(isSignIn(await browser.open(request({ max_age: '86000' })))).toBe(true);
      expect(errorAt(await browser.open(request({ max_age: '99999999' })))).toBe(null);
    });

    it('for the user of id_token_hint or login_hint', async () => {
      const { browser, callback } = await signIn(booted, request());
      const id_token_hint = await idTokenOf(callback);
      expect(errorAt(await browser.open(request({ id_token_hint, prompt: 'none' })))).toBe(null);
      const alice = await signIn(booted, request(), 'alice');
      expect(errorAt(await alice.browser.open(request({ id_token_hint })))).toBe('login_required');
      expect(errorAt(await alice.browser.open(request({ id_token_hint, prompt: 'none' })))).toBe(
        'login_required',
      );
      const page = await new Browser(booted.origin).page(request({ login_hint: 'alice' }));
      expect(page.form!.fields).toContainEqual(['username', 'alice']);
    });

    it('as an error with prompt=none', async () => {
      const signedOut = new Browser(booted.origin);
      expect(errorAt(await signedOut.open(request({ prompt: 'none' })))).toBe('login_required');
      const { browser } = await signIn(booted, request());
      const more = request({ scope: 'openid documents:read', prompt: 'none' });
      expect(errorAt(await browser.open(more))).toBe('consent_required');
    });
  });

  const essential = (acr: object) => JSON.stringify({ id_token: { acr: { essential: true, ...acr } } });

  describe('is reported to the application', () => {
    it('with acr and auth_time', async () => {
      const before = Math.floor(Date.now() / 1000);
      const { callback } = await signIn(booted, request({ acr_values: 'urn:unknown pwd', max_age: '600' }));
      const claims = claimsOf(await idTokenOf(callback));
      expect(claims['acr']).toBe('pwd');
      expect(Number(claims['auth_time'])).toBeGreaterThanOrEqual(before);
    });

    it('as unmet_authentication_requirements if the requested acr is impossible (RFC 9470)', async () => {
      const browser = new Browser(booted.origin);
      for (const more of [
        { claims: essential({ value: 'urn:unknown' }) },
        { claims: essential({ values: ['urn:unknown', 'urn:other'] }) },
      ] as Record<string, string>[])
        expect(errorAt(await browser.open(request(more)))).toBe('unmet_authentication_requirements');
      for (const more of [
        { acr_values: 'mfa' },
        { acr_values: 'mfa pwd' },
        { acr_values: 'urn:unknown' },
        { claims: essential({ values: ['mfa', 'pwd'] }) },
        { claims: essential({}) },
      ] as Record<string, string>[])
        expect(isSignIn(await browser.open(request(more)))).toBe(true);
    });
  });

  it('is remembered with its network, so that one from another network is noticed', async () => {
    await booted.db.manager.delete(KnownNetwork, { userId: 'dave' });
    await signIn(booted, request(), 'dave');
    await booted.app.get(NoticesService, { strict: false }).flush();
    expect(await booted.db.manager.countBy(KnownNetwork, { userId: 'dave' })).toBe(1);
  });

  describe('ends', () => {
    const everywhere = () => booted.db.transaction((manager) => endAllSignIns(manager, 'bob'));

    /** A browser that has submitted the password, and the redirect that it received. */
    const posted = async () => {
      const browser = new Browser(booted.origin);
      const page = await browser.page(request());
      const form = { ...Object.fromEntries(page.form!.fields), username: 'bob', password: DEMO_PASSWORD };
      const response = await browser.post(page.url, new URLSearchParams({ ...form, action: 'sign-in' }));
      expect(response.status).toBe(303);
      return { browser, location: response.headers.get('location')! };
    };

    it('when all sign-ins are ended', async () => {
      const { browser } = await signIn(booted, request());
      await everywhere();
      expect(errorAt(await browser.open(request({ prompt: 'none' })))).toBe('login_required');
    });

    it('before it begins, if all sign-ins are ended between password and session', async () => {
      const { browser, location } = await posted();
      await everywhere();
      const resumed = (await browser.open(location)) as Page;
      expect(resumed.status).toBe(400);
      expect(errorAt(await browser.open(request({ prompt: 'none' })))).toBe('login_required');
    });

    it('before it begins, if all sign-ins are ended right after the password check', async () => {
      const passwords = booted.app.get(PasswordsService, { strict: false });
      const verify = passwords.verify.bind(passwords);
      const watched = jest.spyOn(passwords, 'verify').mockImplementationOnce(async (...args) => {
        const user = await verify(...args);
        await everywhere();
        return user;
      });
      const { browser, location } = await posted().finally(() => watched.mockRestore());
      expect(((await browser.open(location)) as Page).status).toBe(400);
    });

    it('before it begins, if all sign-ins are ended during a request', async () => {
      const sessions = booted.app.get(AdapterFactory, { strict: false }).create('Session');
      const epoch = { accountId: 'bob', uid: randomUUID() };
      await sessions.upsert('before', { ...epoch, kind: 'Session' }, 60);
      await withRequestState(undefined, async () => {
        expect(await sessions.find('before')).toBeDefined();
        await everywhere();
        await sessions.upsert('after', { ...epoch, uid: randomUUID(), kind: 'Session' }, 60);
      });
      expect(await sessions.find('after')).toBeUndefined();
    });

    it('for devices too', async () => {
      const started = await oauth.post('/device/auth', {
        client_id: 'device',
        scope: 'openid documents:read',
      });
      const { user_code, device_code } = started.body as Record<string, string>;
      const poll = () =>
        oauth.post('/token', {
          grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
          client_id: 'device',
          device_code: device_code!,
        });
      const browser = new Browser(booted.origin);
      const input = await browser.page('/oidc/device');
      const confirm = (await browser.submit(input, { user_code: user_code! })) as Page;
      expect(confirm.text).toContain(user_code!);
      const next = (await browser.submit(confirm)) as Page;
      const { page } = await signIn(booted, next.url, 'bob', { browser });
      expect(page.text).toContain('Your device is connected');
      const { status, body } = await poll();
      expect({ status, body }).toMatchObject({ status: 200, body: { scope: 'openid documents:read' } });
      const token = (body as { access_token: string }).access_token;
      expect(await oauth.introspect(token)).toMatchObject({ active: true, sub: 'bob' });
      await everywhere();
      expect(await oauth.introspect(token)).toEqual({ active: false });
    });
  });

  describe('is stored in cookies', () => {
    it('with HttpOnly and SameSite', async () => {
      const response = await fetch(request(), { redirect: 'manual' });
      const set = response.headers.getSetCookie();
      expect(set.map((line) => line.split('=')[0])).toEqual([
        'oauth-interaction-dev',
        'oauth-interaction-dev.sig',
        'oauth-resume-dev',
        'oauth-resume-dev.sig',
        'oauth-browser-dev',
      ]);
      for (const line of set) expect(line).toMatch(/; samesite=lax; httponly$/i);
    });

    it('with the prefixes __Secure- and __Host- in production', async () => {
      const known = 'https://auth.example';
      const secure = await boot({ env: { PUBLIC_URL: known } });
      try {
        const response = await fetch(`${secure.origin}/oidc/auth${request().search}`, { redirect: 'manual' });
        const set = response.headers.getSetCookie();
        expect(set).toHaveLength(5);
        for (const line of set)
          expect(line).toMatch(
            /^(__Secure-oauth-(interaction|resume)|__Host-oauth-browser=).*; secure; httponly$/i,
          );
        const device = await fetch(`${secure.origin}/oidc/device`);
        for (const line of device.headers.getSetCookie())
          expect(line).toMatch(
            /^__Host-oauth-session(\.sig)?=[^;]*; path=\/; samesite=lax; secure; httponly(; expires=.*)?$/i,
          );
      } finally {
        await secure.close();
      }
    });

    it('signed by the current or the previous APP_SECRET', () => {
      const [old, now] = ['o'.repeat(40), 'n'.repeat(40)];
      const keysOf = (env: Record<string, string>) => cookies(Settings.from(env))!.keys as string[];
      const [was] = keysOf({ APP_SECRET: old });
      expect(keysOf({ APP_SECRET: now, APP_SECRET_PREVIOUS: old })).toEqual([
        ...keysOf({ APP_SECRET: now }),
        was,
      ]);
    });
  });

  /** Sets the session's sign-in time to one day ago. */
  async function yesterday(browser: Browser): Promise<void> {
    const id = browser.cookies.find(({ name }) => name === 'oauth-session-dev')!.value;
    const sessions = booted.app.get(AdapterFactory, { strict: false }).create('Session');
    const session = (await sessions.find(id))!;
    await sessions.upsert(id, { ...session, loginTs: Math.floor(Date.now() / 1000) - 86_400 }, 3_600);
    expect(await booted.db.manager.countBy(OauthRecord, { kind: 'Session' })).toBeGreaterThan(0);
  }
});
