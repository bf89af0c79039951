import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { IsNull, Not } from 'typeorm';
import { AccessToken } from '../../src/access-tokens/access-token.entity.js';
import { OauthClient } from '../../src/authorization-server/clients/oauth-client.entity.js';
import { OauthRecord } from '../../src/authorization-server/storage/oauth-record.entity.js';
import { DEMO_PASSWORD } from '../../src/users/users.demo.js';
import { issueAccessToken, type TokenOptions } from '../support/access-tokens.js';
import { boot, client, type Booted } from '../support/app.js';
import { Browser, signIn, type Page } from './browser.js';
import { VERIFIER, basicOf, oauthAt, partnerAssertion } from './flows.js';
import { ACCESS_TOKEN, DEVICE_CODE, JWT_BEARER, TOKEN_EXCHANGE } from './wire.js';

/** The client's callback. */
const CALLBACK = 'https://app.globex.example/callback';

describe('a client of another tenant', () => {
  let booted: Booted;
  let oauth: ReturnType<typeof oauthAt>;
  let globex: { id: string; headers: Record<string, string> };
  beforeAll(async () => {
    booted = await boot({ publicUrlIsOrigin: true });
    oauth = oauthAt(booted.origin);
    const { body } = await client(booted.origin, basicOf('mallory', DEMO_PASSWORD)).post('/oauth/clients', {
      client_name: 'Globex',
      redirect_uris: [CALLBACK],
      grant_types: ['authorization_code', 'refresh_token', TOKEN_EXCHANGE, JWT_BEARER, DEVICE_CODE],
      audiences: [booted.origin, `${booted.origin}/archive`],
      exchanges: 'web spa native device machine',
      resource_scopes: 'documents:read',
    });
    globex = { id: body.client_id as string, headers: basicOf(body.client_id, body.client_secret) };
  });
  afterAll(() => booted.close());

  const issue = (userId: string, options?: TokenOptions) => {
    const kind = userId === 'acme-machine' ? 'ClientCredentials' : 'AccessToken';
    return issueAccessToken(booted, userId, { content: { kind } as object, ...options });
  };
  const tokens = () => booted.db.manager.countBy(AccessToken, {});
  const grants = () => booted.db.manager.countBy(OauthRecord, { kind: 'Grant' });

  describe.each(['jwt', 'opaque'] as const)('with a token in the format %s', (format) => {
    const introspect = async (token: string) =>
      (await oauth.post('/token/introspection', { token }, globex.headers)).body as object;

    it('cannot introspect it, although the audience is its own', async () => {
      for (const [userId, clientId] of [
        ['bob', 'web'],
        ['alice', 'spa'],
        ['acme-machine', 'machine'],
      ] as const)
        expect(await introspect((await issue(userId, { format, clientId })).token)).toEqual({
          active: false,
        });
      expect(await introspect((await issue('mallory', { format })).token)).toMatchObject({
        active: true,
        sub: 'mallory',
      });
    });

    it('cannot exchange it, although it may exchange tokens of that client', async () => {
      const exchange = (subject_token: string) =>
        oauth.post(
          '/token',
          { grant_type: TOKEN_EXCHANGE, subject_token, subject_token_type: ACCESS_TOKEN },
          globex.headers,
        );
      const bobs = await issue('bob', { format });
      const mallorys = await issue('mallory', { format });
      const before = await tokens();
      const { status, body } = await exchange(bobs.token);
      expect([status, body.error, body.error_description]).toEqual([
        400,
        'invalid_request',
        'subject_token is not acceptable',
      ]);
      expect(await tokens()).toBe(before);
      expect((await exchange(mallorys.token)).status).toBe(200);
    });

    it('cannot revoke it', async () => {
      const { token } = await issue('bob', { format });
      const { status, body } = await oauth.post('/token/revocation', { token }, globex.headers);
      expect([status, body.error]).toEqual([400, 'unauthorized_client']);
      expect(await oauth.introspect(token)).toMatchObject({ active: true });
    });
  });

  it('obtains no token for an assertion about another tenant’s user', async () => {
    const before = await tokens();
    const form = { grant_type: JWT_BEARER, assertion: await partnerAssertion(oauth.issuer) };
    const { status, body } = await oauth.post('/token', form, globex.headers);
    expect([status, body.error]).toEqual([400, 'invalid_grant']);
    expect(await tokens()).toBe(before);
    expect((await oauth.post('/token', form, basicOf('machine'))).status).toBe(200);
  });

  describe('signs in no user of another tenant', () => {
    const authorization = (more = {}) =>
      oauth.authorization({
        client_id: globex.id,
        redirect_uri: CALLBACK,
        scope: 'openid documents:read',
        ...more,
      });
    const errorOf = ({ searchParams }: URL) => [searchParams.get('error'), searchParams.get('code')];

    it('but responds access_denied after the sign-in', async () => {
      const before = await grants();
      const { callback } = await signIn(booted, authorization(), 'bob');
      expect(errorOf(callback)).toEqual(['access_denied', null]);
      expect(await grants()).toBe(before);
      const own = await signIn(booted, authorization(), 'mallory');
      expect(own.callback.searchParams.get('code')).toEqual(expect.any(String));
    });

    it('but asks for another account if the user is signed in already', async () => {
      const { browser } = await signIn(booted, oauth.authorization(), 'bob');
      const silent = await browser.open(authorization({ prompt: 'none' }));
      expect(errorOf(silent as URL)).toEqual(['login_required', null]);
      const page = (await browser.open(authorization())) as Page;
      expect([page.status, page.text.includes('to continue to')]).toEqual([200, true]);
      const { callback } = await signIn(booted, authorization(), 'mallory', { browser });
      expect(callback.searchParams.get('code')).toEqual(expect.any(String));
    });

    it('on a device', async () => {
      const { body } = await oauth.post('/device/auth', { scope: 'documents:read' }, globex.headers);
      const browser = new Browser(booted.origin);
      const entered = await browser.submit(await browser.page('/oidc/device'), { user_code: body.user_code });
      const there = (await browser.submit(entered as Page, {}, 'Yes, this is my device')) as Page;
      const { page } = await signIn(booted, there.url, 'bob', { browser });
      expect(page.text).toContain('Access was denied.');
      const form = { grant_type: DEVICE_CODE, device_code: body.device_code as string };
      const polled = await oauth.post('/token', form, globex.headers);
      expect([polled.status, polled.body.error]).toEqual([400, 'access_denied']);
    });
  });

  it('keeps no access from a consent that a user of another tenant gave it earlier', async () => {
    const params = { client_id: globex.id, redirect_uri: CALLBACK, prompt: 'consent' };
    const scope = 'openid offline_access documents:read';
    const tenantId = async (id: string | null) =>
      void (await booted.db.manager.update(OauthClient, { id: globex.id }, { tenantId: id }));
    await tenantId(null);
    const code = await oauth.code({ ...params, scope }, 'bob');
    const redemption = { redirect_uri: CALLBACK, code_verifier: VERIFIER };
    const { body } = await oauth.redeem(code, redemption, globex.headers);
    const second = await oauth.code({ ...params, scope }, 'bob');
    await tenantId('globex');
    const refreshed = await oauth.refresh(body.refresh_token, {}, globex.headers);
    expect([refreshed.status, refreshed.body.error]).toEqual([400, 'invalid_grant']);
    const redeemed = await oauth.redeem(second, redemption, globex.headers);
    expect([redeemed.status, redeemed.body.error]).toEqual([400, 'invalid_grant']);
  });

  it('of no tenant introspects and exchanges no token of others', async () => {
    await booted.db.manager.update(OauthClient, { id: globex.id }, { tenantId: null });
    for (const userId of ['bob', 'mallory']) {
      const { token } = await issue(userId);
      expect((await oauth.post('/token/introspection', { token }, globex.headers)).body).toEqual({
        active: false,
      });
      const form = { grant_type: TOKEN_EXCHANGE, subject_token: token, subject_token_type: ACCESS_TOKEN };
      expect((await oauth.post('/token', form, globex.headers)).body.error).toBe('invalid_request');
    }
    await booted.db.manager.update(OauthClient, { id: globex.id }, { tenantId: 'globex' });
  });
});

it('every demo client that acts for others belongs to a tenant', async () => {
  const booted = await boot();
  const where = { accountId: Not(IsNull()), tenantId: IsNull() };
  expect(await booted.db.manager.findBy(OauthClient, where)).toEqual([]);
  await booted.close();
});
