import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import * as openid from 'openid-client';
import { demoSecret } from '../../src/authorization-server/authorization-server.demo.js';
import { User } from '../../src/users/user.entity.js';
import { boot, client, type Booted } from '../support/app.js';
import { signIn } from './browser.js';
import { WEB_CALLBACK, basicOf, claimsOf, dpopKey, oauthAt } from './flows.js';

describe('the userinfo endpoint and the API', () => {
  let booted: Booted;
  let oauth: ReturnType<typeof oauthAt>;
  beforeAll(async () => {
    booted = await boot({ publicUrlIsOrigin: true });
    oauth = oauthAt(booted.origin);
  });
  afterAll(() => booted.close());

  const get = (path: string, headers: Record<string, string>) => client(booted.origin).get(path, headers);
  const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });
  const userinfo = async (token: string) => (await get('/oidc/me', bearer(token))).status;
  const documents = async (token: string) => (await get('/documents', bearer(token))).status;
  /** The tokens of a new consent. */
  const granted = async (authorization: Record<string, string | string[]>, redemption = {}) =>
    (await oauth.redeem(await oauth.code({ prompt: 'consent', ...authorization }), redemption)).body;
  const OPENID_AND_API = 'openid profile documents:read';

  it('accept one access token of openid-client: sign in, userinfo, API, refresh', async () => {
    const auth = openid.ClientSecretBasic(demoSecret('web'));
    const config = await openid.discovery(new URL(oauth.issuer), 'web', undefined, auth, {
      execute: [openid.allowInsecureRequests],
    });
    const pkceCodeVerifier = openid.randomPKCECodeVerifier();
    const url = openid.buildAuthorizationUrl(config, {
      redirect_uri: WEB_CALLBACK,
      scope: 'openid profile offline_access documents:read',
      prompt: 'consent',
      code_challenge: await openid.calculatePKCECodeChallenge(pkceCodeVerifier),
      code_challenge_method: 'S256',
    });
    const { callback } = await signIn(booted, url);
    const first = await openid.authorizationCodeGrant(config, callback, { pkceCodeVerifier });
    expect(first.scope!.split(' ')).toEqual(['openid', 'profile', 'offline_access', 'documents:read']);
    const again = await openid.refreshTokenGrant(config, first.refresh_token!);
    for (const { access_token } of [first, again]) {
      expect(claimsOf(access_token)).toMatchObject({ aud: booted.origin, scope: first.scope });
      expect(await openid.fetchUserInfo(config, access_token, first.claims()!.sub)).toEqual({
        sub: 'bob',
        name: 'Bob Example',
        preferred_username: 'bob',
        tenant: 'acme',
      });
      const api = new URL(`${booted.origin}/documents`);
      const response = await openid.fetchProtectedResource(config, access_token, api, 'GET');
      expect(await response.json()).toMatchObject({ items: expect.any(Array) });
    }
  });

  it('accept one opaque access token', async () => {
    const { body } = await client(booted.origin, basicOf('alice', 'correct-horse-battery-staple')).post(
      '/oauth/clients',
      {
        redirect_uris: [WEB_CALLBACK],
        resource_scopes: 'documents:read',
        access_token_format: 'opaque',
      },
    );
    const { client_id, client_secret } = body;
    const code = await oauth.code({ client_id, scope: OPENID_AND_API });
    const { access_token } = (await oauth.redeem(code, {}, basicOf(client_id, client_secret))).body;
    expect(access_token).not.toContain('.');
    expect([await userinfo(access_token), await documents(access_token)]).toEqual([200, 200]);
  });

  it('accept the token in a form (RFC 6750 section 2.2)', async () => {
    const { access_token } = await granted({ scope: OPENID_AND_API });
    const { status, body } = await oauth.post('/me', { access_token });
    expect({ status, body }).toMatchObject({ status: 200, body: { sub: 'bob' } });
  });

  it('accept a token of requested claims, and return these claims', async () => {
    const claims = JSON.stringify({ userinfo: { preferred_username: { essential: true } } });
    const { access_token } = await granted({ scope: 'openid documents:read', claims });
    expect((await get('/oidc/me', bearer(access_token))).body).toEqual({
      sub: 'bob',
      preferred_username: 'bob',
    });
    expect(await documents(access_token)).toBe(200);
  });

  it('return only the display name if only this claim is requested', async () => {
    const only = { name: { essential: true } };
    const claims = JSON.stringify({ userinfo: only, id_token: only });
    const { access_token, id_token } = await granted({ scope: 'openid', claims });
    expect((await get('/oidc/me', bearer(access_token))).body).toEqual({ sub: 'bob', name: 'Bob Example' });
    expect(claimsOf(id_token)).toMatchObject({ sub: 'bob', name: 'Bob Example' });
    expect(claimsOf(id_token)).not.toHaveProperty('preferred_username');
  });

  it('return no name for an account without one', async () => {
    await booted.db.manager.update(User, { id: 'dave' }, { name: null });
    const claims = JSON.stringify({ id_token: { name: { essential: true } } });
    const code = await oauth.code({ scope: 'openid profile', claims }, 'dave');
    const { access_token, id_token } = (await oauth.redeem(code)).body;
    expect(claimsOf(id_token)).toMatchObject({ sub: 'dave' });
    expect(claimsOf(id_token)).not.toHaveProperty('name');
    expect((await get('/oidc/me', bearer(access_token))).body).toEqual({
      sub: 'dave',
      preferred_username: 'dave',
      tenant: 'acme',
    });
  });

  it('accept a refreshed token only where its narrowed scope allows', async () => {
    const { refresh_token } = await granted({ scope: `offline_access ${OPENID_AND_API}` });
    const api = (await oauth.refresh(refresh_token, { scope: 'documents:read' })).body;
    expect(api.scope).toBe('documents:read');
    expect([await userinfo(api.access_token), await documents(api.access_token)]).toEqual([403, 200]);
    const identity = (await oauth.refresh(api.refresh_token, { scope: 'openid' })).body;
    expect([await userinfo(identity.access_token), await documents(identity.access_token)]).toEqual([
      200, 401,
    ]);
  });

  it('does not add an OpenID scope that the person has rejected', async () => {
    const url = oauth.authorization({ scope: OPENID_AND_API, prompt: 'consent' });
    const { callback } = await signIn(booted, url, 'carol', { scopes: [`${booted.origin} documents:read`] });
    const { body } = await oauth.redeem(callback.searchParams.get('code')!);
    expect(body.scope).toBe('openid documents:read');
    expect((await get('/oidc/me', bearer(body.access_token))).body).toEqual({ sub: 'carol' });
  });

  describe('attacks', () => {
    it('userinfo rejects a token of the API without the scope openid', async () => {
      const { access_token } = await granted({ scope: 'profile documents:read', nonce: '' });
      expect((await get('/oidc/me', bearer(access_token))).headers.get('www-authenticate')).toContain(
        'error="insufficient_scope"',
      );
    });

    it('both reject a token for another resource', async () => {
      const archive = `${booted.origin}/archive`;
      const resource = [booted.origin, archive];
      const { access_token, scope } = await granted(
        { scope: OPENID_AND_API, resource },
        { resource: archive },
      );
      expect(scope).toBe('documents:read');
      expect([await userinfo(access_token), await documents(access_token)]).toEqual([403, 401]);
    });

    it('userinfo rejects an exchanged token', async () => {
      const { access_token } = await granted({ scope: OPENID_AND_API });
      const exchange = {
        grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
        subject_token: access_token,
        subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      };
      const { body } = await oauth.post('/token', exchange, basicOf('machine'));
      expect(body.scope).toBe('documents:read');
      expect(await userinfo(body.access_token)).toBe(403);
      const more = { ...exchange, scope: 'openid documents:read' };
      expect((await oauth.post('/token', more, basicOf('machine'))).body.error).toBe('invalid_scope');
    });

    it('userinfo rejects a revoked, a changed and an unsigned token, and the bare jti', async () => {
      const { access_token } = await granted({ scope: OPENID_AND_API });
      const [header, payload, signature] = access_token.split('.') as [string, string, string];
      const none = Buffer.from('{"alg":"none","typ":"at+jwt"}').toString('base64url');
      for (const token of [
        `${header}.${payload}.${signature.replace(/^./, (first) => (first === 'A' ? 'B' : 'A'))}`,
        `${none}.${payload}.`,
        String(claimsOf(access_token)['jti']),
      ])
        expect(await userinfo(token)).toBe(401);
      expect(await userinfo(access_token)).toBe(200);
      await oauth.post('/token/revocation', { token: access_token }, basicOf('web'));
      expect(await userinfo(access_token)).toBe(401);
    });

    it('userinfo requires the key of a DPoP-bound token', async () => {
      const key = await dpopKey();
      const other = await dpopKey();
      const code = await oauth.code({ scope: OPENID_AND_API });
      const proof = await key.proof(`${oauth.issuer}/token`);
      const { access_token, token_type } = (await oauth.redeem(code, {}, { ...basicOf('web'), DPoP: proof }))
        .body;
      expect(token_type).toBe('DPoP');
      const ath = createHash('sha256').update(access_token).digest('base64url');
      const proofBy = (by: typeof key) => by.proof(`${oauth.issuer}/me`, { htm: 'GET', ath });
      const call = async (headers: Record<string, string>) => (await get('/oidc/me', headers)).status;
      expect(await userinfo(access_token)).toBe(401);
      expect(await call({ Authorization: `DPoP ${access_token}`, DPoP: await proofBy(other) })).toBe(401);
      expect(await call({ Authorization: `DPoP ${access_token}`, DPoP: await proofBy(key) })).toBe(200);
    });
  });
});
