import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readAuthorizationServerConfig } from '../../src/authorization-server/authorization-server.config.js';
import { Settings } from '../../src/config/settings.js';
import { WEAK_KEYS } from '../support/weak-keys.js';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { SignJWT } from 'jose';
import * as oauth from 'oauth4webapi';
import * as openid from 'openid-client';
import { AccessToken } from '../../src/access-tokens/access-token.entity.js';
import { ClientsService } from '../../src/authorization-server/clients/clients.service.js';
import { User } from '../../src/users/user.entity.js';
import { issueAccessToken, signWithActiveKey, type TokenOptions } from '../support/access-tokens.js';
import { boot, client, type Booted } from '../support/app.js';
import { PARTNER_KEY, basicOf, dpopKey, oauthAt, partnerAssertion, partnerClaims } from './flows.js';
import { ACCESS_TOKEN, CIBA, DEVICE_CODE, JWT_BEARER, TOKEN_EXCHANGE, claimsOf, poster } from './wire.js';

let booted: Booted;
let post: ReturnType<typeof poster>;
beforeAll(async () => {
  booted = await boot({ publicUrlIsOrigin: true });
  post = poster(booted);
});
afterAll(() => booted.close());

const demo = async (token: string) =>
  (await client(booted.origin).get('/demo/oauth', { Authorization: `Bearer ${token}` })) as {
    status: number;
    body: Record<string, never>;
  };
const rows = () => booted.db.manager.countBy(AccessToken, {});
const introspect = async (token: string) =>
  (await post('/token/introspection', { token }, 'resource-server')).body as Record<string, unknown>;

describe('token exchange', () => {
  const exchange = (subject: string, form: Record<string, string> = {}, as = 'machine') =>
    post(
      '/token',
      {
        grant_type: TOKEN_EXCHANGE,
        subject_token: subject,
        subject_token_type: ACCESS_TOKEN,
        ...form,
      },
      as,
    );
  const bobs = (options: TokenOptions = {}) => issueAccessToken(booted, 'bob', options);

  it('issues a token for the same account with the client as actor', async () => {
    const subject = await bobs({ scope: 'documents:read documents:write', claims: { amr: ['pwd'] } });
    const { status, body, headers } = await exchange(subject.token);
    expect({ status, body }).toEqual({
      status: 200,
      body: {
        access_token: expect.any(String),
        issued_token_type: ACCESS_TOKEN,
        token_type: 'Bearer',
        expires_in: expect.any(Number),
        scope: 'documents:read documents:write',
      },
    });
    expect(headers.get('cache-control')).toBe('no-store');
    const claims = claimsOf(body.access_token);
    expect(claims).toMatchObject({
      iss: `${booted.origin}/oidc`,
      aud: booted.origin,
      sub: 'bob',
      client_id: 'machine',
      act: { sub: 'machine' },
      amr: ['pwd'],
    });
    const { status: seen, body: caller } = await demo(body.access_token);
    expect({ seen, caller }).toMatchObject({
      seen: 200,
      caller: {
        id: 'bob',
        scopes: ['documents:read', 'documents:write'],
        proofs: [{ method: 'oauth', client: 'machine', act: { sub: 'machine' } }],
      },
    });
    expect(await introspect(body.access_token)).toMatchObject({
      active: true,
      sub: 'bob',
      client_id: 'machine',
      act: { sub: 'machine' },
    });
  });

  it('accepts an opaque subject token', async () => {
    const subject = await bobs({ format: 'opaque' });
    expect((await exchange(subject.token)).status).toBe(200);
  });

  it('issues fewer scopes and tokens for another resource on request', async () => {
    const subject = await bobs({ scope: 'documents:read documents:write' });
    const { body } = await exchange(subject.token, {
      scope: 'documents:read',
      resource: `${booted.origin}/archive`,
    });
    expect(body).toMatchObject({ scope: 'documents:read' });
    expect(await introspect(body.access_token)).toMatchObject({
      active: true,
      aud: `${booted.origin}/archive`,
      act: { sub: 'machine' },
    });
    expect((await demo(body.access_token)).status).toBe(401);
    const byName = await exchange(subject.token, { audience: `${booted.origin}/archive` });
    expect(byName.status).toBe(200);
  });

  it('takes the actor from an actor_token of the same client', async () => {
    const subject = await bobs();
    const mine = await post('/token', { grant_type: 'client_credentials' }, 'machine');
    const form = { actor_token: mine.body.access_token as string, actor_token_type: ACCESS_TOKEN };
    const { body } = await exchange(subject.token, form);
    expect(claimsOf(body.access_token)).toMatchObject({ sub: 'bob', act: { sub: 'machine' } });
    const staff = await issueAccessToken(booted, 'alice', { clientId: 'machine' });
    const forStaff = await exchange(subject.token, { ...form, actor_token: staff.token });
    expect(claimsOf(forStaff.body.access_token)).toMatchObject({ sub: 'bob', act: { sub: 'alice' } });
    expect((await demo(forStaff.body.access_token)).status).toBe(200);
  });

  it('keeps earlier actors nested', async () => {
    const subject = await bobs();
    const first = await exchange(subject.token);
    const second = await exchange(first.body.access_token);
    expect(claimsOf(second.body.access_token)).toMatchObject({
      sub: 'bob',
      act: { sub: 'machine', act: { sub: 'machine' } },
    });
  });

  it('issues a token that expires and is revoked with its subject token, at any depth', async () => {
    const subject = await bobs({ row: { expiresAt: new Date(Date.now() + 60_000) } });
    const first = await exchange(subject.token);
    const second = await exchange(first.body.access_token);
    expect(first.body.expires_in).toBeLessThanOrEqual(60);
    expect(second.body.expires_in).toBeLessThanOrEqual(60);
    expect((await demo(second.body.access_token)).status).toBe(200);
    await subject.revoke();
    for (const { body } of [first, second]) {
      expect((await demo(body.access_token)).status).toBe(401);
      expect(await introspect(body.access_token)).toEqual({ active: false });
    }
  });

  it('allows revoking the new token alone', async () => {
    const subject = await bobs();
    const { body } = await exchange(subject.token);
    expect((await post('/token/revocation', { token: body.access_token }, 'machine')).status).toBe(200);
    expect((await demo(body.access_token)).status).toBe(401);
    expect((await demo(subject.token)).status).toBe(200);
  });

  it('accepts a client credentials token', async () => {
    const own = await post(
      '/token',
      { grant_type: 'client_credentials', scope: 'documents:read' },
      'machine',
    );
    const { body } = await exchange(own.body.access_token, { resource: `${booted.origin}/archive` });
    expect(await introspect(body.access_token)).toMatchObject({ active: true, sub: 'acme-machine' });
    await post('/token/revocation', { token: own.body.access_token }, 'machine');
    expect(await introspect(body.access_token)).toEqual({ active: false });
  });

  it('keeps the authorization details', async () => {
    const rar = [{ type: 'document', identifier: 'one', actions: ['read' as const] }];
    const subject = await bobs({
      claims: { authorization_details: rar },
      row: { content: { iat: 1, aud: booted.origin, rar } },
    });
    const { body } = await exchange(subject.token);
    expect(body).toMatchObject({ authorization_details: rar });
    expect(claimsOf(body.access_token)).toMatchObject({ authorization_details: rar });
  });

  it('exchanges a DPoP-bound token with a proof, and binds the new token to the same key', async () => {
    const key = await dpopKey();
    const subject = await bobs({ cnf: { jkt: key.jkt } });
    const exchange = async (nonce?: string) =>
      oauthAt(booted.origin).post(
        '/token',
        { grant_type: TOKEN_EXCHANGE, subject_token: subject.token, subject_token_type: ACCESS_TOKEN },
        {
          ...basicOf('machine'),
          DPoP: await key.proof(`${booted.origin}/oidc/token`, nonce ? { nonce } : {}),
        },
      );
    const first = await exchange();
    const { status, body } =
      first.body.error === 'use_dpop_nonce' ? await exchange(first.headers.get('dpop-nonce')!) : first;
    expect({ status, type: body.token_type as string }).toEqual({ status: 200, type: 'DPoP' });
    expect(claimsOf(body.access_token as string)).toMatchObject({ sub: 'bob', cnf: { jkt: key.jkt } });
    expect((await demo(body.access_token as string)).status).toBe(401);
  });

  it('works with openid-client', async () => {
    const config = await openid.discovery(
      new URL(`${booted.origin}/oidc`),
      'machine',
      'machine-demo-secret-0123456789abcdef',
      openid.ClientSecretBasic('machine-demo-secret-0123456789abcdef'),
      { execute: [openid.allowInsecureRequests] },
    );
    const subject = await bobs();
    const tokens = await openid.genericGrantRequest(config, TOKEN_EXCHANGE, {
      subject_token: subject.token,
      subject_token_type: ACCESS_TOKEN,
      scope: 'documents:read',
    });
    expect((await demo(tokens.access_token)).status).toBe(200);
  });

  it('works with oauth4webapi', async () => {
    const insecure = { [oauth.allowInsecureRequests]: true };
    const issuer = new URL(`${booted.origin}/oidc`);
    const found = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure });
    const server = await oauth.processDiscoveryResponse(issuer, found);
    const machine: oauth.Client = { client_id: 'machine' };
    const form = { subject_token: (await bobs()).token, subject_token_type: ACCESS_TOKEN };
    const tokens = await oauth.processGenericTokenEndpointResponse(
      server,
      machine,
      await oauth.genericTokenEndpointRequest(
        server,
        machine,
        oauth.ClientSecretBasic('machine-demo-secret-0123456789abcdef'),
        TOKEN_EXCHANGE,
        form,
        insecure,
      ),
    );
    expect(tokens['issued_token_type']).toBe(ACCESS_TOKEN);
    expect((await demo(tokens.access_token)).status).toBe(200);
  });

  describe('attacks', () => {
    const expectError = async (
      response: ReturnType<typeof exchange>,
      error: string,
      description?: string,
      status = 400,
    ) => {
      const { status: got, body } = await response;
      expect({ got, body }).toEqual({
        got: status,
        body: {
          error,
          error_description: description ?? expect.any(String),
          ...(error === 'invalid_scope' && { scope: expect.any(String) }),
        },
      });
    };
    const unacceptable = (name = 'subject_token') => `${name} is not acceptable`;

    it('rejects an unknown grant, and clients without the grant', async () => {
      const before = await rows();
      await expectError(
        post('/token', { grant_type: 'urn:example:unknown' }, 'machine'),
        'unsupported_grant_type',
      );
      const subject = await bobs();
      await expectError(exchange(subject.token, {}, 'web'), 'unauthorized_client');
      expect(await rows()).toBe(before + 1);
    });

    it('rejects clients with a disabled account and public clients', async () => {
      const subject = await bobs();
      const before = await rows();
      await booted.db.manager.update(User, { id: 'acme-machine' }, { disabledAt: new Date() });
      await expectError(exchange(subject.token), 'unauthorized_client');
      await booted.db.manager.update(User, { id: 'acme-machine' }, { disabledAt: null });
      await booted.app.get(ClientsService, { strict: false }).upsert('open', {
        token_endpoint_auth_method: 'none',
        redirect_uris: [],
        response_types: [],
        grant_types: [TOKEN_EXCHANGE],
        resource_scopes: 'documents:read',
        exchanges: 'web',
      });
      const form = { subject_token: subject.token, subject_token_type: ACCESS_TOKEN, client_id: 'open' };
      await expectError(post('/token', { grant_type: TOKEN_EXCHANGE, ...form }), 'unauthorized_client');
      expect(await rows()).toBe(before);
    });

    it('rejects a token of a client that is not configured for exchange', async () => {
      const subject = await bobs({ clientId: 'resource-server' });
      const before = await rows();
      await expectError(exchange(subject.token), 'invalid_request', unacceptable());
      expect(await rows()).toBe(before);
    });

    it('rejects scopes beyond those of the token or the client', async () => {
      const subject = await bobs({ scope: 'documents:read' });
      const none = await bobs({ scope: 'openid' });
      const before = await rows();
      await expectError(
        exchange(subject.token, { scope: 'documents:read documents:delete' }),
        'invalid_scope',
      );
      await expectError(exchange(subject.token, { scope: 'openid' }), 'invalid_scope');
      await expectError(exchange(none.token), 'invalid_scope');
      expect(await rows()).toBe(before);
    });

    it('rejects an unknown resource, and two resources', async () => {
      const subject = await bobs();
      const before = await rows();
      await expectError(exchange(subject.token, { resource: 'https://elsewhere.example' }), 'invalid_target');
      await expectError(exchange(subject.token, { audience: 'https://elsewhere.example' }), 'invalid_target');
      await expectError(exchange(subject.token, { audience: 'an application' }), 'invalid_target');
      await expectError(
        exchange(subject.token, { resource: booted.origin, audience: `${booted.origin}/archive` }),
        'invalid_target',
      );
      expect(await rows()).toBe(before);
    });

    it('rejects unknown, expired and revoked tokens, and those of disabled or signed-out accounts', async () => {
      const revoked = await bobs();
      await revoked.revoke();
      const expired = await bobs();
      await expired.expire();
      const carols = await issueAccessToken(booted, 'carol');
      const before = await rows();
      for (const token of [revoked.token, expired.token, 'x'.repeat(43), 'ey.ey.ey', `${revoked.token}x`])
        await expectError(exchange(token), 'invalid_request', unacceptable());
      await booted.db.manager.update(User, { id: 'carol' }, { disabledAt: new Date() });
      await expectError(exchange(carols.token), 'invalid_request', unacceptable());
      await booted.db.manager.update(User, { id: 'carol' }, { disabledAt: null, epoch: 1 });
      await expectError(exchange(carols.token), 'invalid_request', unacceptable());
      await booted.db.manager.update(User, { id: 'carol' }, { epoch: 0 });
      expect(await rows()).toBe(before);
    });

    it('rejects a token for another audience, and an ID token', async () => {
      const elsewhere = await bobs({ claims: { aud: 'https://elsewhere.example' } });
      const idToken = await signWithActiveKey(
        booted,
        { iss: `${booted.origin}/oidc`, aud: 'web', sub: 'bob', iat: 1, exp: 9_999_999_999 },
        { typ: 'JWT' },
      );
      for (const token of [elsewhere.token, idToken])
        await expectError(exchange(token), 'invalid_request', unacceptable());
    });

    it('rejects a bound token without its key', async () => {
      const bound = await bobs({ cnf: { jkt: 'x'.repeat(43) } });
      const certified = await bobs({ cnf: { 'x5t#S256': 'x'.repeat(43) } });
      const before = await rows();
      for (const { token } of [bound, certified])
        await expectError(exchange(token), 'invalid_request', unacceptable());
      expect(await rows()).toBe(before);
    });

    it('rejects a revoked actor_token, one of another client, and one without type', async () => {
      const subject = await bobs();
      const others = await issueAccessToken(booted, 'alice', { clientId: 'web' });
      const gone = await issueAccessToken(booted, 'alice', { clientId: 'machine' });
      await gone.revoke();
      const before = await rows();
      for (const { token } of [others, gone])
        await expectError(
          exchange(subject.token, { actor_token: token, actor_token_type: ACCESS_TOKEN }),
          'invalid_request',
          unacceptable('actor_token'),
        );
      await expectError(exchange(subject.token, { actor_token: others.token }), 'invalid_request');
      await expectError(exchange(subject.token, { actor_token_type: ACCESS_TOKEN }), 'invalid_request');
      expect(await rows()).toBe(before);
    });

    it('rejects other subject and requested token types', async () => {
      const { token } = await bobs();
      const type = 'urn:ietf:params:oauth:token-type:refresh_token';
      await expectError(exchange(token, { subject_token_type: type }), 'invalid_request');
      await expectError(exchange(token, { requested_token_type: type }), 'invalid_request');
      await expectError(exchange('', {}), 'invalid_request');
    });

    it('limits the chain of actors', async () => {
      let { token } = await bobs();
      for (let i = 0; i < 4; i++) token = (await exchange(token)).body.access_token as string;
      await expectError(exchange(token), 'invalid_request', unacceptable());
    });

    it('leaves no valid token if the subject token is revoked during the exchange', async () => {
      for (let i = 0; i < 20; i++) {
        const subject = await bobs();
        const [response] = await Promise.all([exchange(subject.token), subject.revoke()]);
        if (response.status === 200) expect((await demo(response.body.access_token)).status).toBe(401);
        else expect(response.body.error).toBe('invalid_request');
      }
    });
  });
});

describe('a parameter that limits the token', () => {
  const details = JSON.stringify([{ type: 'document', identifier: 'bob-draft', actions: ['read'] }]);
  const limits = { audience: 'https://elsewhere.example', authorization_details: details, scope: 'openid' };
  const assertion = 'an assertion';
  const auth_req_id = 'an id';
  const refresh_token = 'a token';

  it.each([
    ['web', { grant_type: 'authorization_code', code: 'a code' }, ['audience', 'scope']],
    ['web', { grant_type: 'refresh_token', refresh_token }, ['audience']],
    ['machine', { grant_type: 'client_credentials' }, ['audience']],
    ['ciba', { grant_type: CIBA, auth_req_id }, ['audience', 'scope']],
    ['machine', { grant_type: JWT_BEARER, assertion }, ['audience', 'authorization_details']],
    ['machine', { grant_type: TOKEN_EXCHANGE }, ['authorization_details']],
  ] as const)('is an error where the grant does not support it (%s: %j)', async (as, form, unsupported) => {
    for (const name of unsupported)
      expect(await post('/token', { ...form, [name]: limits[name] }, as)).toMatchObject({
        status: 400,
        body: {
          error: 'invalid_request',
          error_description: `${name} is not supported in this grant's token request`,
        },
      });
  });

  it('is an error in the token request of a device', async () => {
    for (const name of ['audience', 'scope'] as const) {
      const form = { grant_type: DEVICE_CODE, device_code: 'a code', client_id: 'device' };
      const { status, body } = await post('/token', { ...form, [name]: limits[name] });
      expect([status, body.error]).toEqual([400, 'invalid_request']);
    }
  });

  it('does not use the code up if it is not supported', async () => {
    const oauth = oauthAt(booted.origin);
    const code = await oauth.code();
    expect((await oauth.redeem(code, { scope: 'openid' })).body.error).toBe('invalid_request');
    expect((await oauth.redeem(code)).status).toBe(200);
  });

  it('is honoured by each grant that supports it', async () => {
    const oauth = oauthAt(booted.origin);
    const archive = `${booted.origin}/archive`;
    const resource = [booted.origin, archive];
    const scope = 'openid offline_access documents:read documents:write';
    const code = await oauth.code({ resource, scope, prompt: 'consent' });
    const redeemed = (await oauth.redeem(code, { resource: archive })).body;
    expect(await oauth.introspect(redeemed.access_token)).toMatchObject({ aud: archive });
    const refreshed = (
      await oauth.refresh(redeemed.refresh_token, { resource: booted.origin, scope: 'documents:read' })
    ).body;
    expect(await oauth.introspect(refreshed.access_token)).toMatchObject({
      aud: booted.origin,
      scope: 'documents:read',
    });
    const form = { grant_type: 'client_credentials', resource: archive, scope: 'documents:read' };
    const machines = (await post('/token', form, 'machine')).body;
    expect(await oauth.introspect(machines.access_token)).toMatchObject({
      aud: archive,
      scope: 'documents:read',
    });
  });
});

describe('the JWT bearer grant', () => {
  const now = () => Math.floor(Date.now() / 1000);
  const claims = () => partnerClaims(`${booted.origin}/oidc`);
  const assertion = (
    over: Record<string, unknown> = {},
    header: Record<string, unknown> = {},
    key: KeyObject = PARTNER_KEY,
  ) => partnerAssertion(`${booted.origin}/oidc`, over, header, key);
  const redeem = async (text: string | Promise<string>, form: Record<string, string> = {}, as = 'machine') =>
    post('/token', { grant_type: JWT_BEARER, assertion: await text, ...form }, as);

  it('issues an access token for the mapped account, without a refresh token', async () => {
    const { status, body } = await redeem(assertion());
    expect({ status, body }).toEqual({
      status: 200,
      body: {
        access_token: expect.any(String),
        token_type: 'Bearer',
        expires_in: 300,
        scope: 'documents:read',
      },
    });
    expect(claimsOf(body.access_token)).toMatchObject({
      sub: 'bob',
      client_id: 'machine',
      aud: booted.origin,
    });
    expect((await demo(body.access_token)).body).toMatchObject({
      id: 'bob',
      scopes: ['documents:read'],
      proofs: [{ client: 'machine', amr: [] }],
    });
  });

  it('accepts the token endpoint as audience', async () => {
    expect((await redeem(assertion({ aud: `${booted.origin}/oidc/token` }))).status).toBe(200);
  });

  describe('attacks', () => {
    const expectError = async (response: ReturnType<typeof redeem>, error = 'invalid_grant') => {
      const { status, body } = await response;
      expect({ status, body }).toMatchObject({ status: 400, body: { error } });
      if (error === 'invalid_grant') expect(body.error_description).toBe('grant request is invalid');
    };

    it('rejects missing and wrong claims', async () => {
      const before = await rows();
      for (const over of [
        { iss: 'https://elsewhere.example' },
        { iss: undefined },
        { sub: 'alice@partner.example' },
        { sub: 'bob' },
        { sub: 'constructor' },
        { sub: undefined },
        { aud: 'https://elsewhere.example' },
        { aud: [`${booted.origin}/oidc`] },
        { aud: [`${booted.origin}/oidc`, 'https://elsewhere.example'] },
        { aud: booted.origin },
        { aud: undefined },
        { exp: undefined },
        { exp: now() - 60 },
        { exp: now() + 3_600 },
        { iat: undefined },
        { iat: now() - 3_600 },
        { iat: now() + 60 },
        { nbf: now() + 60 },
        { jti: undefined },
        { jti: '' },
        { jti: 7 },
      ])
        await expectError(redeem(assertion(over)));
      expect(await rows()).toBe(before);
    });

    it('rejects another key, unsigned assertions, HMACs with the public key, and other JWT types', async () => {
      const { privateKey } = generateKeyPairSync('ed25519');
      const secret = Buffer.from('uJpD12bjpdxvfQfs6ZrlI6e7wPvdNW-rgGuZ_6QTgsA', 'base64url');
      const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
      const unsigned = `${encode({ alg: 'none', kid: 'partner-demo' })}.${encode(claims())}.`;
      const hs = new SignJWT(claims()).setProtectedHeader({ alg: 'HS256', kid: 'partner-demo' }).sign(secret);
      const before = await rows();
      await expectError(redeem(assertion({}, {}, privateKey)));
      await expectError(redeem(assertion({}, { kid: 'another' })));
      await expectError(redeem(assertion({}, { kid: undefined })));
      await expectError(redeem(assertion({}, { typ: 'at+jwt' })));
      await expectError(redeem(unsigned));
      await expectError(redeem(hs));
      await expectError(redeem('x'));
      await expectError(redeem('..'));
      expect(await rows()).toBe(before);
    });

    it('accepts an assertion once, also of concurrent requests', async () => {
      const text = await assertion();
      const responses = await Promise.all(Array.from({ length: 10 }, () => redeem(text)));
      expect(responses.filter(({ status }) => status === 200)).toHaveLength(1);
      await expectError(redeem(text));
    });

    it('does not use up an assertion that is rejected for its scope', async () => {
      const text = await assertion();
      await expectError(redeem(text, { scope: 'documents:write' }), 'invalid_scope');
      expect((await redeem(text)).status).toBe(200);
    });

    it('rejects scopes beyond those of the issuer', async () => {
      await expectError(redeem(assertion(), { scope: 'documents:read documents:delete' }), 'invalid_scope');
    });

    it('rejects a disabled account', async () => {
      await booted.db.manager.update(User, { id: 'bob' }, { disabledAt: new Date() });
      await expectError(redeem(assertion()));
      await booted.db.manager.update(User, { id: 'bob' }, { disabledAt: null });
    });

    it('rejects clients without the grant, and a missing assertion', async () => {
      await expectError(redeem(assertion(), {}, 'web'), 'unauthorized_client');
      await expectError(post('/token', { grant_type: JWT_BEARER }, 'machine'), 'invalid_request');
    });

    it.each(Object.entries(WEAK_KEYS))(
      'does not start with an issuer whose key is weak: %s',
      async (_, jwk) => {
        const issuer = {
          issuer: 'https://partner.test',
          keys: [{ ...jwk, kid: 'weak' }],
          accounts: { robert: 'bob' },
          scopes: ['documents:read'],
        };
        const config = (keys: object[]) =>
          readAuthorizationServerConfig(
            Settings.from({ OAUTH_ASSERTION_ISSUERS: JSON.stringify([{ ...issuer, keys }]) }),
          );
        expect(() => config(issuer.keys)).toThrow(/OAUTH_ASSERTION_ISSUERS\.0\.keys\.0/);
        const strong = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' });
        expect(config([{ ...strong, kid: 'strong' }]).assertionIssuers.size).toBe(1);
      },
    );

    it('does not start with an invalid configuration', async () => {
      await expect(boot({ env: { OAUTH_ASSERTION_ISSUERS: '{' } })).rejects.toThrow(
        'OAUTH_ASSERTION_ISSUERS',
      );
    });
  });
});
