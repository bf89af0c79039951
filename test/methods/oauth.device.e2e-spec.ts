import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { IsNull, Not } from 'typeorm';
import { User } from '../../src/users/index.js';
import { AccessToken } from '../../src/access-tokens/index.js';
import { OauthRecord } from '../../src/methods/oauth/server/record.entity.js';
import { boot, client, type Booted } from '../app.js';
import { Browser, signIn, type Page } from './oauth.browser.js';
import { DEVICE_CODE, poster } from './oauth.wire.js';

let booted: Booted;
let post: ReturnType<typeof poster>;
beforeAll(async () => {
  booted = await boot({ known: true });
  post = poster(booted);
});
afterAll(() => booted.close());

const demo = (token: string) =>
  client(booted.origin).get('/demo/oauth', { Authorization: `Bearer ${token}` });
/** As if the interval had passed: a test does not wait. */
const later = () => booted.db.manager.update(OauthRecord, { polledAt: Not(IsNull()) }, { polledAt: null });

describe('the device flow', () => {
  interface Started {
    readonly device_code: string;
    readonly user_code: string;
    readonly verification_uri: string;
    readonly verification_uri_complete: string;
    readonly expires_in: number;
  }
  const start = async (scope = 'openid offline_access documents:read'): Promise<Started> =>
    (await post('/device/auth', { client_id: 'device', scope })).body as Started;
  const poll = (started: Started, as = 'device') =>
    post('/token', { grant_type: DEVICE_CODE, device_code: started.device_code, client_id: as });
  /** Types the code in, as whoever sits before the browser. @returns the page that it leads to */
  const enter = async (browser: Browser, code: string): Promise<Page> =>
    (await browser.submit(await browser.page('/oidc/device'), { user_code: code })) as Page;
  const approve = async (started: Started, username = 'bob', browser = new Browser(booted.origin)) => {
    const confirmation = await enter(browser, started.user_code);
    const there = (await browser.submit(confirmation, {}, 'Yes, this is my device')) as Page;
    return signIn(booted, there.url, username, { browser });
  };
  const refused = async (answer: ReturnType<typeof poll>, error: string) => {
    const { status, body } = await answer;
    expect({ status, body }).toMatchObject({ status: 400, body: { error } });
  };
  const unused = () => booted.db.manager.sql`DELETE FROM login_failures`;
  afterEach(unused);

  it('connects what has no keyboard: it shows a code, a person types it in elsewhere, and it gets its tokens', async () => {
    const started = await start();
    expect(started).toEqual({
      device_code: expect.stringMatching(/^[\w-]{43}$/),
      user_code: expect.stringMatching(/^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$/),
      verification_uri: `${booted.origin}/oidc/device`,
      verification_uri_complete: `${booted.origin}/oidc/device?user_code=${started.user_code}`,
      expires_in: 600,
    });
    await refused(poll(started), 'authorization_pending');
    const { page } = await approve(started);
    expect(page.text).toContain('Your device is connected');
    await later();
    const { status, body } = await poll(started);
    expect({ status, body }).toMatchObject({
      status: 200,
      body: {
        token_type: 'Bearer',
        scope: 'documents:read',
        refresh_token: expect.any(String),
      },
    });
    const caller = await demo(body.access_token as string);
    expect(caller).toMatchObject({
      status: 200,
      body: { id: 'bob', scopes: ['documents:read'], proofs: [{ client: 'device' }] },
    });
    const refreshed = await post('/token', {
      grant_type: 'refresh_token',
      refresh_token: body.refresh_token as string,
      client_id: 'device',
    });
    expect(refreshed.status).toBe(200);
  });

  it('takes a code in small letters and without the dash', async () => {
    const started = await start();
    const page = await enter(new Browser(booted.origin), started.user_code.toLowerCase().replace('-', ' '));
    expect(page.text).toContain(started.user_code);
  });

  it('tells the device when the person has said no', async () => {
    const started = await start();
    const browser = new Browser(booted.origin);
    await browser.submit(await enter(browser, started.user_code), {}, 'No');
    await refused(poll(started), 'access_denied');
    const denied = await start();
    const there = (await browser.submit(
      await enter(browser, denied.user_code),
      {},
      'Yes, this is my device',
    )) as Page;
    await signIn(booted, there.url, 'bob', { browser, press: 'Deny' });
    await refused(poll(denied), 'access_denied');
  });

  describe('attacks', () => {
    it('OAUTH-44 polling too fast: slow_down, until the interval has passed', async () => {
      const started = await start();
      await refused(poll(started), 'authorization_pending');
      await refused(poll(started), 'slow_down');
      await refused(poll(started), 'slow_down');
      await later();
      await refused(poll(started), 'authorization_pending');
    });

    it('OAUTH-44 polling by many at once: one of them is heard', async () => {
      const started = await start();
      const answers = await Promise.all(Array.from({ length: 8 }, () => poll(started)));
      const heard = answers.map(({ body }) => body.error as string).sort();
      expect(heard).toEqual(['authorization_pending', ...Array.from({ length: 7 }, () => 'slow_down')]);
    });

    it('OAUTH-44 expired: neither the device nor the person gets on with it', async () => {
      const started = await start();
      await booted.db.manager.update(
        OauthRecord,
        { kind: 'DeviceCode' },
        { expiresAt: new Date(Date.now() - 1_000) },
      );
      await refused(poll(started), 'expired_token');
      const page = await enter(new Browser(booted.origin), started.user_code);
      expect(page.text).toContain('no such code');
    });

    it('OAUTH-44 code guessing: 20 wrong codes from an address, then not even a right one', async () => {
      const started = await start();
      const browser = new Browser(booted.origin);
      for (let i = 0; i < 20; i++)
        expect((await enter(browser, `BBBB-BBB${'BCDFGHJKLMNPQRSTVWXZ'[i]}`)).text).toContain('no such code');
      const page = await enter(browser, started.user_code);
      expect(page.status).toBe(429);
      expect(page.text).toContain('too many wrong codes');
      expect(Number(page.headers.get('retry-after'))).toBeGreaterThan(800);
      await refused(poll(started), 'authorization_pending');
    });

    it('OAUTH-44 code guessing from everywhere: there is a limit for all together', async () => {
      const started = await start();
      await booted.db.query(
        `INSERT INTO login_failures ("key", points, expire) VALUES ('device codes:all', 2000, ${Date.now() + 900_000})`,
      );
      expect((await enter(new Browser(booted.origin), started.user_code)).status).toBe(429);
    });

    it('OAUTH-44 codes that are right are not counted', async () => {
      const started = await start();
      const browser = new Browser(booted.origin);
      for (let i = 0; i < 25; i++)
        expect((await enter(browser, started.user_code)).text).toContain('Is this your device?');
    });

    it('OAUTH-44 somebody else’s code: a link alone approves nothing, there is a page that asks and names the client', async () => {
      const started = await start();
      const browser = new Browser(booted.origin);
      const { page } = await signIn(booted, started.verification_uri_complete, 'bob', { browser });
      expect(page.text).toContain('Is this your device?');
      expect(page.text).toContain('Demo television');
      expect(page.text).toContain(started.user_code);
      await refused(poll(started), 'authorization_pending');
    });

    it('OAUTH-44 approving from another site: without the token of the page nothing happens', async () => {
      const started = await start();
      const browser = new Browser(booted.origin);
      await enter(browser, started.user_code);
      const fields = { user_code: started.user_code, confirm: 'yes' };
      for (const xsrf of ['', 'x'.repeat(48)]) {
        const body = new URLSearchParams({ ...fields, xsrf });
        expect((await browser.post('/oidc/device', body)).status).toBe(400);
      }
      await refused(poll(started), 'authorization_pending');
    });

    it('OAUTH-44 a code that one person has confirmed is not for another', async () => {
      const started = await start();
      await approve(started, 'bob');
      const page = await enter(new Browser(booted.origin), started.user_code);
      expect(page.text).toContain('used already');
      const { body } = await poll(started);
      expect((await demo(body.access_token as string)).body).toMatchObject({ id: 'bob' });
    });

    it('another client, and a code that was redeemed: all that came of it ends', async () => {
      const started = await start();
      await approve(started);
      const native = await post('/token', {
        grant_type: DEVICE_CODE,
        device_code: started.device_code,
        client_id: 'native',
      });
      expect({ status: native.status, error: native.body.error }).toEqual({
        status: 400,
        error: 'unauthorized_client',
      });
      const { body } = await poll(started);
      expect((await demo(body.access_token as string)).status).toBe(200);
      await refused(poll(started), 'invalid_grant');
      expect((await demo(body.access_token as string)).status).toBe(401);
    });

    it('a code that is redeemed by many at once gives tokens to one, if to any', async () => {
      const started = await start();
      await approve(started);
      const before = await booted.db.manager.countBy(AccessToken, {});
      const answers = await Promise.all(Array.from({ length: 8 }, () => poll(started)));
      expect(answers.filter(({ status }) => status === 200).length).toBeLessThanOrEqual(1);
      expect(await booted.db.manager.countBy(AccessToken, {})).toBeLessThanOrEqual(before + 1);
    });

    it('log out everywhere ends a code that was approved and not yet redeemed', async () => {
      const started = await start();
      await approve(started, 'carol');
      await booted.db.manager.increment(User, { id: 'carol' }, 'epoch', 1);
      await refused(poll(started), 'invalid_grant');
    });
  });
});
