import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import * as oauth from 'oauth4webapi';
import * as openid from 'openid-client';
import { IsNull, Not } from 'typeorm';
import { User } from '../../src/users/user.entity.js';
import { AccessToken } from '../../src/access-tokens/access-token.entity.js';
import { recordId } from '../../src/authorization-server/storage/oauth-records.service.js';
import { OidcProviderService } from '../../src/authorization-server/provider/oidc-provider.service.js';
import { OauthRecord } from '../../src/authorization-server/storage/oauth-record.entity.js';
import { issueAccessToken } from '../support/access-tokens.js';
import { as, boot, client, type Booted } from '../support/app.js';
import { startProcesses, type Processes } from '../support/processes.js';
import { race } from '../support/race.js';
import { Browser, signIn, type Page } from './browser.js';
import { WEB_CALLBACK, basicOf, oauthAt } from './flows.js';
import { CIBA, DEVICE_CODE, claimsOf, poster } from './wire.js';

let booted: Booted;
let post: ReturnType<typeof poster>;
beforeAll(async () => {
  booted = await boot({ publicUrlIsOrigin: true });
  post = poster(booted);
});
afterAll(() => booted.close());

const demo = (token: string) =>
  client(booted.origin).get('/demo/oauth', { Authorization: `Bearer ${token}` });
/** Resets the polling interval, so that the test does not wait. */
const resetPolling = () =>
  booted.db.manager.update(OauthRecord, { polledAt: Not(IsNull()) }, { polledAt: null });

/** Enters a user code. @returns the next page */
const enterCode = async (browser: Browser, code: string): Promise<Page> =>
  (await browser.submit(await browser.page('/oidc/device'), { user_code: code })) as Page;
const approve = async (
  started: { user_code: string },
  username = 'bob',
  browser = new Browser(booted.origin),
) => {
  const confirmation = await enterCode(browser, started.user_code);
  const there = (await browser.submit(confirmation, {}, 'Yes, this is my device')) as Page;
  return signIn(booted, there.url, username, { browser });
};

const password = 'correct-horse-battery-staple';
/** A client of the API with a recent sign-in. */
const person = async (username: string) => {
  const { body } = await client(booted.origin).post('/auth/login', { username, password, as: 'jwt' });
  return client(booted.origin, { Authorization: `Bearer ${body.access_token}` });
};

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
  const expectError = async (response: ReturnType<typeof poll>, error: string) => {
    const { status, body } = await response;
    expect({ status, body }).toMatchObject({ status: 400, body: { error } });
  };
  const unused = () => booted.db.manager.sql`DELETE FROM login_failures`;
  afterEach(unused);

  it('issues tokens to a device after the user has entered its code', async () => {
    const started = await start();
    expect(started).toEqual({
      device_code: expect.stringMatching(/^[\w-]{43}$/),
      user_code: expect.stringMatching(/^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$/),
      verification_uri: `${booted.origin}/oidc/device`,
      verification_uri_complete: `${booted.origin}/oidc/device?user_code=${started.user_code}`,
      expires_in: 600,
    });
    await expectError(poll(started), 'authorization_pending');
    const { page } = await approve(started);
    expect(page.text).toContain('Your device is connected');
    await resetPolling();
    const { status, body } = await poll(started);
    expect({ status, body }).toMatchObject({
      status: 200,
      body: {
        token_type: 'Bearer',
        scope: 'openid offline_access documents:read',
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

  it('accepts a code in lower case and without the dash', async () => {
    const started = await start();
    const page = await enterCode(
      new Browser(booted.origin),
      started.user_code.toLowerCase().replace('-', ' '),
    );
    expect(page.text).toContain(started.user_code);
  });

  it('responds access_denied to the device after a denial', async () => {
    const started = await start();
    const browser = new Browser(booted.origin);
    await browser.submit(await enterCode(browser, started.user_code), {}, 'No');
    await expectError(poll(started), 'access_denied');
    const denied = await start();
    const there = (await browser.submit(
      await enterCode(browser, denied.user_code),
      {},
      'Yes, this is my device',
    )) as Page;
    await signIn(booted, there.url, 'bob', { browser, press: 'Deny' });
    await expectError(poll(denied), 'access_denied');
  });

  describe('attacks', () => {
    it('responds slow_down to polling faster than the interval', async () => {
      const started = await start();
      await expectError(poll(started), 'authorization_pending');
      await expectError(poll(started), 'slow_down');
      await expectError(poll(started), 'slow_down');
      await resetPolling();
      await expectError(poll(started), 'authorization_pending');
    });

    it('responds slow_down to all but one concurrent poll', async () => {
      const started = await start();
      const responses = await Promise.all(Array.from({ length: 8 }, () => poll(started)));
      const errors = responses.map(({ body }) => body.error as string).toSorted();
      expect(errors).toEqual(['authorization_pending', ...Array.from({ length: 7 }, () => 'slow_down')]);
    });

    it('rejects an expired code from device and user', async () => {
      const started = await start();
      await booted.db.manager.update(
        OauthRecord,
        { kind: 'DeviceCode' },
        { expiresAt: new Date(Date.now() - 1_000) },
      );
      await expectError(poll(started), 'expired_token');
      const page = await enterCode(new Browser(booted.origin), started.user_code);
      expect(page.text).toContain('no such code');
    });

    it('blocks an address after 20 wrong codes', async () => {
      const started = await start();
      const browser = new Browser(booted.origin);
      for (let i = 0; i < 20; i++)
        expect((await enterCode(browser, `BBBB-BBB${'BCDFGHJKLMNPQRSTVWXZ'[i]}`)).text).toContain(
          'no such code',
        );
      const page = await enterCode(browser, started.user_code);
      expect(page.status).toBe(429);
      expect(page.text).toContain('too many wrong codes');
      expect(Number(page.headers.get('retry-after'))).toBeGreaterThan(800);
      await expectError(poll(started), 'authorization_pending');
    });

    it('limits wrong codes of all addresses together', async () => {
      const started = await start();
      await booted.db.query(
        `INSERT INTO login_failures ("key", points, expire) VALUES ('device codes:all', 2000, ${Date.now() + 900_000})`,
      );
      expect((await enterCode(new Browser(booted.origin), started.user_code)).status).toBe(429);
    });

    it('does not count correct codes', async () => {
      const started = await start();
      const browser = new Browser(booted.origin);
      for (let i = 0; i < 25; i++)
        expect((await enterCode(browser, started.user_code)).text).toContain('Is this your device?');
    });

    it('requires confirmation on a page that names the client, even with a complete link', async () => {
      const started = await start();
      const browser = new Browser(booted.origin);
      const { page } = await signIn(booted, started.verification_uri_complete, 'bob', { browser });
      expect(page.text).toContain('Is this your device?');
      expect(page.text).toContain('Demo television');
      expect(page.text).toContain(started.user_code);
      await expectError(poll(started), 'authorization_pending');
    });

    it('rejects an approval without the form token', async () => {
      const started = await start();
      const browser = new Browser(booted.origin);
      await enterCode(browser, started.user_code);
      const fields = { user_code: started.user_code, confirm: 'yes' };
      for (const xsrf of ['', 'x'.repeat(48)]) {
        const body = new URLSearchParams({ ...fields, xsrf });
        expect((await browser.post('/oidc/device', body)).status).toBe(400);
      }
      await expectError(poll(started), 'authorization_pending');
    });

    it('rejects a code that another user has confirmed', async () => {
      const started = await start();
      await approve(started, 'bob');
      const page = await enterCode(new Browser(booted.origin), started.user_code);
      expect(page.text).toContain('already used');
      const { body } = await poll(started);
      expect((await demo(body.access_token as string)).body).toMatchObject({ id: 'bob' });
    });

    it('rejects another client, and revokes all tokens of a code that is used again', async () => {
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
      await expectError(poll(started), 'invalid_grant');
      expect((await demo(body.access_token as string)).status).toBe(401);
    });

    it('issues tokens at most once for concurrent redemptions', async () => {
      const started = await start();
      await approve(started);
      const before = await booted.db.manager.countBy(AccessToken, {});
      const responses = await Promise.all(Array.from({ length: 8 }, () => poll(started)));
      expect(responses.filter(({ status }) => status === 200).length).toBeLessThanOrEqual(1);
      expect(await booted.db.manager.countBy(AccessToken, {})).toBeLessThanOrEqual(before + 1);
    });

    it('rejects an approved code after all sign-ins were ended', async () => {
      const started = await start();
      await approve(started, 'carol');
      await booted.db.manager.increment(User, { id: 'carol' }, 'epoch', 1);
      await expectError(poll(started), 'invalid_grant');
    });
  });
});

describe('CIBA (client-initiated backchannel authentication)', () => {
  const startRequest = (form: Record<string, string> = {}, as = 'ciba') =>
    post(
      '/backchannel',
      { scope: 'openid documents:read', login_hint: 'bob', binding_message: 'Call 4711', ...form },
      as,
    );
  const poll = (id: string, as = 'ciba') => post('/token', { grant_type: CIBA, auth_req_id: id }, as);
  const expectError = async (response: ReturnType<typeof poll>, error: string) => {
    const { status, body } = await response;
    expect({ status, body }).toMatchObject({ status: 400, body: { error } });
  };
  const none = () => booted.db.manager.delete(OauthRecord, { kind: 'BackchannelAuthenticationRequest' });
  afterEach(none);

  it('issues tokens after the named user has approved on another device', async () => {
    const { status, body } = await startRequest();
    expect({ status, body }).toEqual({
      status: 200,
      body: { auth_req_id: expect.stringMatching(/^[\w-]{43}$/), expires_in: 300 },
    });
    await expectError(poll(body.auth_req_id), 'authorization_pending');
    const bob = await person('bob');
    const { items } = (await bob.get('/backchannel-requests')).body;
    expect(items).toEqual([
      {
        id: expect.stringMatching(/^[\w-]{43}$/),
        client: { id: 'ciba', name: 'Demo help desk' },
        bindingMessage: 'Call 4711',
        scopes: ['openid', 'documents:read'],
        expiresAt: expect.any(String),
      },
    ]);
    expect((await bob.post(`/backchannel-requests/${items[0].id}/approve`)).status).toBe(204);
    expect((await bob.get('/backchannel-requests')).body.items).toEqual([]);
    await resetPolling();
    const tokens = (await poll(body.auth_req_id)).body;
    expect(tokens).toMatchObject({ token_type: 'Bearer', id_token: expect.any(String) });
    expect(claimsOf(tokens.access_token)).toMatchObject({ sub: 'bob', acr: 'pwd', amr: ['pwd'] });
    expect((await demo(tokens.access_token)).body).toMatchObject({
      id: 'bob',
      scopes: ['documents:read'],
      proofs: [{ client: 'ciba', amr: ['pwd'] }],
    });
  });

  describe('for a client that an administrator registered', () => {
    const PASSWORD = 'correct-horse-battery-staple';
    /** Registers a client as an administrator. @returns posts a form as this client */
    const registered = async (administrator: string) => {
      const { status, body } = await client(booted.origin, basicOf(administrator, PASSWORD)).post(
        '/oauth/clients',
        {
          client_name: 'Help desk',
          redirect_uris: [WEB_CALLBACK],
          grant_types: ['authorization_code', CIBA],
          backchannel_token_delivery_mode: 'poll',
          resource_scopes: 'documents:read',
        },
      );
      expect(status).toBe(201);
      const { client_id, client_secret } = body as { client_id: string; client_secret: string };
      const credentials = basicOf(client_id, client_secret);
      const oauth = oauthAt(booted.origin);
      return {
        client_id,
        start: (hint: Record<string, string>) =>
          oauth.post(
            '/backchannel',
            { scope: 'openid documents:read', binding_message: 'Call 4711', ...hint },
            credentials,
          ),
        poll: (auth_req_id: string) => oauth.post('/token', { grant_type: CIBA, auth_req_id }, credentials),
        /** An ID token of a user who signs in at the client with a browser. */
        idToken: async (username: string) => {
          const code = await oauth.code({ client_id, scope: 'openid' }, username);
          const { body: tokens } = await oauth.redeem(code, {}, credentials);
          return (tokens as { id_token: string }).id_token;
        },
      };
    };
    const UNKNOWN_USER = {
      status: 400,
      body: expect.objectContaining({ error: 'unknown_user_id' }) as unknown,
    };

    it('issues tokens for a user of its tenant', async () => {
      const desk = await registered('alice');
      const { status, body } = await desk.start({ login_hint: 'bob' });
      expect(status).toBe(200);
      const bob = await person('bob');
      const { items } = (await bob.get('/backchannel-requests')).body;
      expect(items).toMatchObject([{ client: { id: desk.client_id, name: 'Help desk' } }]);
      expect((await bob.post(`/backchannel-requests/${items[0].id}/approve`)).status).toBe(204);
      const { access_token } = (await desk.poll(body.auth_req_id)).body as { access_token: string };
      expect((await demo(access_token)).body).toMatchObject({ id: 'bob', scopes: ['documents:read'] });
    });

    it('finds no user of another tenant, by name or by an ID token', async () => {
      const [ofAcme, ofGlobex] = [await registered('alice'), await registered('mallory')];
      expect((await ofGlobex.start({ login_hint: 'mallory' })).status).toBe(200);
      const unknown = await ofGlobex.start({ login_hint: 'nobody' });
      expect(unknown).toMatchObject(UNKNOWN_USER);
      const inTenant = { id_token_hint: await ofAcme.idToken('bob') };
      expect((await ofAcme.start(inTenant)).status).toBe(200);
      const ofMallory = { id_token_hint: await ofGlobex.idToken('mallory') };
      expect((await ofGlobex.start(ofMallory)).status).toBe(200);
      await booted.db.manager.update(User, { id: 'mallory' }, { tenantId: 'acme' });
      const hints: Record<string, string>[] = [
        { login_hint: 'bob' },
        { login_hint: 'mallory' },
        { login_hint: 'acme-machine' },
        ofMallory,
      ];
      for (const hint of hints) {
        const { status, body } = await ofGlobex.start(hint);
        expect({ status, body }).toEqual({ status: unknown.status, body: unknown.body });
      }
      await booted.db.manager.update(User, { id: 'mallory' }, { tenantId: 'globex' });
    });
  });

  it('responds access_denied after a denial', async () => {
    const { body } = await startRequest();
    const bob = await person('bob');
    const { items } = (await bob.get('/backchannel-requests')).body;
    expect((await bob.post(`/backchannel-requests/${items[0].id}/deny`)).status).toBe(204);
    await expectError(poll(body.auth_req_id), 'access_denied');
  });

  describe('attacks', () => {
    const first = async (who: Awaited<ReturnType<typeof person>>) =>
      (await who.get('/backchannel-requests')).body.items[0].id as string;

    it('rejects fast polling, expired requests and other clients', async () => {
      const { body } = await startRequest();
      await expectError(poll(body.auth_req_id), 'authorization_pending');
      await expectError(poll(body.auth_req_id), 'slow_down');
      await expectError(poll(body.auth_req_id, 'machine'), 'unauthorized_client');
      await booted.db.manager.update(
        OauthRecord,
        { kind: 'BackchannelAuthenticationRequest' },
        { expiresAt: new Date(Date.now() - 1_000) },
      );
      await expectError(poll(body.auth_req_id), 'expired_token');
      expect((await (await person('bob')).get('/backchannel-requests')).body.items).toEqual([]);
    });

    it('responds alike to unknown users, machines and users of other tenants', async () => {
      const responses = await Promise.all(
        ['mallory', 'acme-machine', 'nobody', '', 'a'.repeat(5_000)].map((login_hint) =>
          startRequest({ login_hint }),
        ),
      );
      const [known, ...others] = responses.map(({ status, body }) => ({ status, body }));
      expect(known).toMatchObject({ status: 400, body: { error: 'unknown_user_id' } });
      for (const [i, other] of others.entries()) if (i !== 2) expect(other).toEqual(known);
    });

    it('rejects a missing, long or misleading binding message', async () => {
      for (const binding_message of ['', 'x'.repeat(65), 'a\u202eb', '<b>', 'a\nb', ' a'])
        await expectError(startRequest({ binding_message }), 'invalid_binding_message');
    });

    it('rejects other hints and user codes, and limits the expiry', async () => {
      await expectError(startRequest({ login_hint: '', login_hint_token: 'x' }), 'invalid_request');
      await expectError(startRequest({ user_code: '1234' }), 'invalid_request');
      await expectError(startRequest({ request_context: '{}' }), 'invalid_request');
      expect((await startRequest({ requested_expiry: '99999' })).body.expires_in).toBe(300);
      expect((await startRequest({ requested_expiry: '60' })).body.expires_in).toBe(60);
    });

    it('rejects a sixth pending request for a user', async () => {
      for (let i = 0; i < 5; i++) expect((await startRequest()).status).toBe(200);
      await expectError(startRequest(), 'temporarily_unavailable');
      expect((await startRequest({ login_hint: 'carol' })).status).toBe(200);
    });

    it('leaves at most five pending requests, also if they are started at the same time', async () => {
      await Promise.all(Array.from({ length: 12 }, () => startRequest({ login_hint: 'dave' })));
      const { items } = (await (await person('dave')).get('/backchannel-requests')).body;
      expect(items.length).toBeLessThanOrEqual(5);
    });

    it('responds 404 to deciding another user’s request or an unknown one', async () => {
      const { body } = await startRequest();
      const id = await first(await person('bob'));
      const carol = await person('carol');
      for (const each of [id, 'x'.repeat(43)])
        expect(await carol.post(`/backchannel-requests/${each}/approve`)).toMatchObject({
          status: 404,
          body: { code: 'not_found' },
        });
      await expectError(poll(body.auth_req_id), 'authorization_pending');
    });

    it('accepts exactly one decision, also of concurrent ones', async () => {
      const bob = await person('bob');
      for (let round = 0; round < 5; round++) {
        const { body } = await startRequest();
        const id = await first(bob);
        const decide = (verdict: string) => bob.post(`/backchannel-requests/${id}/${verdict}`);
        const verdicts = await Promise.all(
          Array.from({ length: 12 }, (_, i) => decide(i % 2 ? 'approve' : 'deny')),
        );
        expect(verdicts.filter(({ status }) => status === 204)).toHaveLength(1);
        expect(verdicts.filter(({ status }) => status === 404)).toHaveLength(11);
        expect((await decide('approve')).status).toBe(404);
        expect([200, 400]).toContain((await poll(body.auth_req_id)).status);
        await none();
      }
    });

    it('rejects approvals without a recent sign-in and by limited credentials', async () => {
      const { body } = await startRequest();
      const bob = await person('bob');
      const id = await first(bob);
      const at = new Date(Date.now() - 301_000);
      const signIn = { method: 'test', at, amr: ['pwd'], bound: false, signIn: true } as const;
      const old = client(booted.origin, as({ id: 'bob', proofs: [signIn] }));
      expect(await old.post(`/backchannel-requests/${id}/approve`)).toMatchObject({
        status: 403,
        body: { code: 'reauthentication_required' },
      });
      const limited = (await bob.post('/api-keys', { name: 'limited', scopes: ['documents:read'] })).body.key;
      const token = (await issueAccessToken(booted, 'bob')).token;
      for (const headers of [
        { 'X-API-Key': limited as string },
        { Authorization: `Bearer ${token}` },
      ] as Record<string, string>[])
        for (const path of ['/backchannel-requests', `/backchannel-requests/${id}/approve`])
          expect(
            await client(booted.origin, headers).send(path.endsWith('approve') ? 'POST' : 'GET', path),
          ).toMatchObject({ status: 403, body: { code: 'limited_credential' } });
      await expectError(poll(body.auth_req_id), 'authorization_pending');
    });

    it('accepts the approval of a request with acr_values only from a sign-in that reaches it', async () => {
      const { body } = await startRequest({ acr_values: 'mfa' });
      const bob = await person('bob');
      const path = `/backchannel-requests/${await first(bob)}/approve`;
      const by = (amr: readonly string[]) =>
        client(
          booted.origin,
          as({ id: 'bob', proofs: [{ method: 'test', at: new Date(), amr, bound: false, signIn: true }] }),
        );
      const weak = await by(['pwd']).post(path);
      expect([weak.status, weak.body.code]).toEqual([403, 'reauthentication_required']);
      expect((await bob.get('/backchannel-requests')).body.items).toHaveLength(1);
      expect((await by(['pwd', 'otp', 'mfa']).post(path)).status).toBe(204);
      const tokens = (await poll(body.auth_req_id)).body as { access_token: string };
      expect(claimsOf(tokens.access_token)).toMatchObject({ acr: 'mfa' });
    });

    it('rejects pending and approved requests after all sign-ins were ended', async () => {
      const approved = await startRequest();
      const bob = await person('bob');
      await bob.post(`/backchannel-requests/${await first(bob)}/approve`);
      const waiting = await startRequest();
      await booted.db.manager.increment(User, { id: 'bob' }, 'epoch', 1);
      for (const { body } of [approved, waiting]) await expectError(poll(body.auth_req_id), 'invalid_grant');
      expect((await (await person('bob')).get('/backchannel-requests')).body.items).toEqual([]);
    });

    it('rejects clients without the grant', async () => {
      await expectError(startRequest({}, 'machine'), 'unauthorized_client');
      await expectError(post('/device/auth', { client_id: 'spa' }), 'unauthorized_client');
    });
  });
});

describe('independent client libraries', () => {
  it('openid-client completes the device flow and CIBA', async () => {
    const discover = (id: string, auth?: openid.ClientAuth) =>
      openid.discovery(new URL(`${booted.origin}/oidc`), id, undefined, auth ?? openid.None(), {
        execute: [openid.allowInsecureRequests],
      });
    const tv = await discover('device');
    const desk = await discover('ciba', openid.ClientSecretBasic('ciba-demo-secret-0123456789abcdef'));
    const device = await openid.initiateDeviceAuthorization(tv, { scope: 'openid documents:read' });
    const request = await openid.initiateBackchannelAuthentication(desk, {
      scope: 'openid documents:read',
      login_hint: 'alice',
      binding_message: 'Call 4712',
    });
    const polls = [
      openid.pollDeviceAuthorizationGrant(tv, device),
      openid.pollBackchannelAuthenticationGrant(desk, request),
    ];
    await approve(device, 'alice');
    const alice = await person('alice');
    const { items } = (await alice.get('/backchannel-requests')).body;
    await alice.post(`/backchannel-requests/${items[0].id}/approve`);
    for (const tokens of await Promise.all(polls))
      expect((await demo(tokens.access_token)).body).toMatchObject({ id: 'alice' });
  });

  it('oauth4webapi completes both with valid ID tokens', async () => {
    const insecure = { [oauth.allowInsecureRequests]: true };
    const issuer = new URL(`${booted.origin}/oidc`);
    const server = await oauth.processDiscoveryResponse(
      issuer,
      await oauth.discoveryRequest(issuer, { algorithm: 'oidc', ...insecure }),
    );
    const tv: oauth.Client = { client_id: 'device', id_token_signed_response_alg: 'ES256' };
    const scope = { scope: 'openid documents:read' };
    const device = await oauth.processDeviceAuthorizationResponse(
      server,
      tv,
      await oauth.deviceAuthorizationRequest(server, tv, oauth.None(), scope, insecure),
    );
    await approve(device, 'carol');
    const ofDevice = await oauth.processDeviceCodeResponse(
      server,
      tv,
      await oauth.deviceCodeGrantRequest(server, tv, oauth.None(), device.device_code, insecure),
    );

    const desk: oauth.Client = { client_id: 'ciba', id_token_signed_response_alg: 'ES256' };
    const secret = oauth.ClientSecretBasic('ciba-demo-secret-0123456789abcdef');
    const named = { ...scope, login_hint: 'carol', binding_message: 'Call 4713' };
    const request = await oauth.processBackchannelAuthenticationResponse(
      server,
      desk,
      await oauth.backchannelAuthenticationRequest(server, desk, secret, named, insecure),
    );
    const carol = await person('carol');
    const { items } = (await carol.get('/backchannel-requests')).body;
    await carol.post(`/backchannel-requests/${items[0].id}/approve`);
    const ofDesk = await oauth.processBackchannelAuthenticationGrantResponse(
      server,
      desk,
      await oauth.backchannelAuthenticationGrantRequest(server, desk, secret, request.auth_req_id, insecure),
    );

    for (const tokens of [ofDevice, ofDesk]) {
      expect(oauth.getValidatedIdTokenClaims(tokens)).toMatchObject({ sub: 'carol' });
      expect((await demo(tokens.access_token)).body).toMatchObject({ id: 'carol' });
    }
  });
});

describe('on two servers', () => {
  let processes: Processes;
  beforeAll(async () => (processes = await startProcesses(2)), 60_000);
  afterAll(() => processes.stop());

  it('accepts exactly one of concurrent decisions', async () => {
    const provider = await processes.app.get(OidcProviderService, { strict: false }).provider();
    const desk = await provider.Client.find('ciba');
    const login = { username: 'bob', password, as: 'jwt' };
    const { access_token } = (await client(processes.origins[0]!).post('/auth/login', login)).body;
    const unfair = await race({
      origins: processes.origins,
      rounds: 40,
      parallel: 6,
      make: async () => {
        const grant = { accountId: 'bob', scope: 'openid', params: {}, claims: {} };
        const request = new provider.BackchannelAuthenticationRequest({
          ...grant,
          client: desk!,
          expiresIn: 60,
        } as never);
        return recordId('BackchannelAuthenticationRequest', await request.save());
      },
      use: async (origin, id) => {
        const bob = client(origin, { Authorization: `Bearer ${access_token}` });
        return (await bob.post(`/backchannel-requests/${id}/approve`)).status === 204;
      },
    });
    expect(unfair).toEqual([]);
  });
});
