import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { OauthRecord } from '../../src/authorization-server/storage/oauth-record.entity.js';
import { boot, type Booted } from '../support/app.js';
import { signIn, type Browser, type Page } from './browser.js';
import { oauthAt } from './flows.js';

describe('a request that is sent by POST', () => {
  let booted: Booted;
  let oauth: ReturnType<typeof oauthAt>;
  beforeAll(async () => {
    booted = await boot({ publicUrlIsOrigin: true });
    oauth = oauthAt(booted.origin);
  });
  afterEach(async () => {
    await booted.db.query(`DELETE FROM login_failures`);
  });
  afterAll(() => booted.close());

  /** Submits a form from another site. A browser sends no `SameSite=Lax` cookie with it. */
  const postFromApplication = (path: string, form: URLSearchParams | string, headers = {}) =>
    fetch(`${booted.origin}/oidc${path}`, {
      method: 'POST',
      redirect: 'manual',
      headers: {
        Accept: 'text/html',
        Origin: 'http://localhost:4000',
        'Sec-Fetch-Site': 'cross-site',
        'Content-Type': 'application/x-www-form-urlencoded',
        ...headers,
      },
      body: form.toString(),
    });
  const redirectOf = async (path: string, form: URLSearchParams) => {
    const response = await postFromApplication(path, form);
    expect(response.status).toBe(303);
    expect(response.headers.get('cache-control')).toBe('no-store');
    return new URL(response.headers.get('location')!, booted.origin);
  };
  const request = (more: Record<string, string> = {}) => oauth.authorization(more).searchParams;
  const statusAndLocation = async (url: URL) => {
    const response = await fetch(url, { redirect: 'manual' });
    return { status: response.status, location: response.headers.get('location') };
  };
  const rejected = { status: 400, location: null };

  it('signs a person in, as with GET', async () => {
    const { callback } = await signIn(booted, await redirectOf('/auth', request()), 'bob');
    expect(callback.searchParams.get('state')).toBe('of the application');
    const { status } = await oauth.redeem(callback.searchParams.get('code')!);
    expect(status).toBe(200);
  });

  it('finds the session of the browser, although the form carried no cookie', async () => {
    const { browser } = await signIn(booted, oauth.authorization(), 'bob');
    const again = (await browser.open(await redirectOf('/auth', request({ prompt: 'none' })))) as URL;
    expect(again.searchParams.get('code')).toBeTruthy();
  });

  it('reports login_required to the client if there is no session', async () => {
    const { location } = await statusAndLocation(await redirectOf('/auth', request({ prompt: 'none' })));
    expect(new URL(location!).searchParams.get('error')).toBe('login_required');
  });

  it('keeps every parameter out of the URL and encrypted at rest', async () => {
    const url = await redirectOf('/auth', request({ login_hint: 'bob@acme.example' }));
    expect([...url.searchParams.keys()]).toEqual(['posted']);
    expect(url.searchParams.get('posted')).toMatch(/^[\w-]{43}$/);
    const { sealed } = await booted.db.manager.findOneOrFail(OauthRecord, {
      where: { kind: 'PostedRequest' },
      order: { expiresAt: 'DESC' },
    });
    expect(Buffer.from(sealed.split('.')[1]!, 'base64url').toString('latin1')).not.toContain('bob@acme');
  });

  it('rejects a parameter that is repeated in the form', async () => {
    const form = request();
    form.append('state', 'another');
    const { location } = await statusAndLocation(await redirectOf('/auth', form));
    expect(new URL(location!).searchParams.get('error_description')).toContain('state');
  });

  it('reads a form with characters that mean something else in a URL', async () => {
    const { location } = await statusAndLocation(
      await postFromApplication(
        '/auth',
        `state=#fragment&${request({ state: '', prompt: 'none' }).toString()}`,
      ).then((response) => new URL(response.headers.get('location')!, booted.origin)),
    );
    expect(new URL(location!).searchParams.get('state')).toBe('#fragment');
  });

  describe('for logout', () => {
    const tokensOf = async () => {
      const { browser, callback } = await signIn(booted, oauth.authorization(), 'bob');
      const { body } = await oauth.redeem(callback.searchParams.get('code')!);
      return { browser, id_token: String(body['id_token']) };
    };
    const isSignedIn = async (browser: Browser) => {
      const there = (await browser.open(oauth.authorization({ prompt: 'none', scope: 'openid' }))) as URL;
      return there.searchParams.get('error') !== 'login_required';
    };

    it('ends the session without the ID token in a URL', async () => {
      const { browser, id_token } = await tokensOf();
      const home = 'http://localhost:4000/';
      const form = { id_token_hint: id_token, post_logout_redirect_uri: home, state: 'mine' };
      const url = await redirectOf('/session/end', new URLSearchParams(form));
      expect(url.href).not.toContain(id_token.slice(0, 20));
      const page = await browser.page(url);
      expect(page.text).toContain('<strong>Demo web application</strong> asks you to sign out.');
      expect(await isSignedIn(browser)).toBe(true);
      const confirmed = await browser.page(await redirectOf('/session/end', new URLSearchParams(form)));
      expect(((await browser.submit(confirmed, {}, 'Sign out')) as URL).href).toBe(`${home}?state=mine`);
      expect(await isSignedIn(browser)).toBe(false);
    });

    it('asks for confirmation without parameters, too', async () => {
      const { browser } = await tokensOf();
      const page: Page = await browser.page(await redirectOf('/session/end', new URLSearchParams()));
      expect(page.text).toContain('Stay signed in');
      expect(await isSignedIn(browser)).toBe(true);
    });
  });

  describe('attacks', () => {
    it('cannot be used twice', async () => {
      const url = await redirectOf('/auth', request());
      expect((await statusAndLocation(url)).status).toBe(303);
      expect(await statusAndLocation(url)).toEqual(rejected);
    });

    it('is used once by concurrent requests', async () => {
      const url = await redirectOf('/auth', request());
      const results = await Promise.all(Array.from({ length: 20 }, () => statusAndLocation(url)));
      expect(results.filter(({ status }) => status === 303)).toHaveLength(1);
    });

    it('cannot be used after it expired, at the other endpoint, or with an invented reference', async () => {
      const expired = await redirectOf('/auth', request());
      await booted.db.manager.update(OauthRecord, { kind: 'PostedRequest' }, { expiresAt: new Date() });
      expect(await statusAndLocation(expired)).toEqual(rejected);
      const posted = await redirectOf('/auth', request());
      expect(await statusAndLocation(new URL(`${oauth.issuer}/session/end${posted.search}`))).toEqual(
        rejected,
      );
      expect(await statusAndLocation(new URL(`${oauth.issuer}/auth?posted=${'A'.repeat(43)}`))).toEqual(
        rejected,
      );
      expect(await statusAndLocation(new URL(`${oauth.issuer}/auth?posted=`))).toEqual(rejected);
      expect(await statusAndLocation(new URL(`${posted.href}&posted=x`))).toEqual(rejected);
    });

    it('does not replace a pushed authorization request', async () => {
      const form = request({ client_id: 'fapi', redirect_uri: 'https://localhost:4443/callback' });
      const { location } = await statusAndLocation(await redirectOf('/auth', form));
      expect(new URL(location!).searchParams.get('error')).toBe('invalid_request');
    });

    it.each<[string, string, Record<string, string>, number]>([
      ['is longer than 16 KiB', 'x=' + 'y'.repeat(16 * 1024), {}, 413],
      ['is JSON', '{}', { 'Content-Type': 'application/json' }, 415],
    ])('is rejected if it %s', async (_name, body, headers, status) => {
      expect((await postFromApplication('/auth', body, headers)).status).toBe(status);
    });

    it('is rejected if parameters are in the URL', async () => {
      expect((await postFromApplication('/auth?prompt=none', request())).status).toBe(400);
    });

    it('cannot fill the database: abandoned requests are limited, and finished ones do not count', async () => {
      const statuses = new Set<number>();
      for (let i = 0; i < 99; i++) statuses.add((await postFromApplication('/auth', request())).status);
      expect([...statuses]).toEqual([303]);
      await statusAndLocation(await redirectOf('/auth', request()));
      expect((await postFromApplication('/auth', request())).status).toBe(303);
      const refused = await postFromApplication('/auth', request());
      expect(refused.status).toBe(429);
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
      expect((await oauth.authorize()).status).toBe(303);
    });
  });

  it('leaves other endpoints and methods as they were', async () => {
    const put = await fetch(`${oauth.issuer}/auth`, { method: 'PUT' });
    expect({ status: put.status, allow: put.headers.get('allow') }).toEqual({
      status: 405,
      allow: 'GET, HEAD, POST',
    });
    expect((await postFromApplication('/jwks', '')).status).toBe(405);
  });
});
