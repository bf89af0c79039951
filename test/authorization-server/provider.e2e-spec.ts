import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { createHash } from 'node:crypto';
import { AuditEvent } from '../../src/audit/audit-event.entity.js';
import { AuditLog } from '../../src/audit/audit-log.service.js';
import { SigningKeys } from '../../src/crypto/signing-keys.service.js';
import { SigningKey } from '../../src/crypto/signing-key.entity.js';
import { OidcProviderService } from '../../src/authorization-server/provider/oidc-provider.service.js';
import { OauthClient } from '../../src/authorization-server/clients/oauth-client.entity.js';
import { User } from '../../src/users/user.entity.js';
import { boot, client, type Booted } from '../support/app.js';
import { basicOf, claimsOf, headerOf, oauthAt } from './flows.js';

const MINUTE_MS = 60_000;

describe('the authorization server', () => {
  let booted: Booted;
  let oauth: ReturnType<typeof oauthAt>;
  let log = '';
  const consoleOutput: unknown[] = [];
  beforeAll(async () => {
    for (const method of ['info', 'warn', 'error', 'log'] as const)
      jest.spyOn(console, method).mockImplementation((...words: unknown[]) => void consoleOutput.push(words));
    booted = await boot({
      publicUrlIsOrigin: true,
      env: { OAUTH_OPEN_REGISTRATION: 'false' },
      logTo: { write: (line) => void (log += line) },
    });
    oauth = oauthAt(booted.origin);
  });
  afterAll(async () => {
    await booted.close();
    jest.restoreAllMocks();
  });

  const as = (username: string) => client(booted.origin, basicOf(username, 'correct-horse-battery-staple'));
  const machine = (more: Record<string, string> = {}) =>
    oauth.post('/token', { grant_type: 'client_credentials', ...more }, basicOf('machine'));
  const get = async (path: string, headers: Record<string, string> = {}) =>
    client(booted.origin).get(path, headers);

  describe('the metadata', () => {
    it('are published at the paths of OpenID Connect and RFC 8414', async () => {
      for (const path of [
        '/oidc/.well-known/openid-configuration',
        '/.well-known/oauth-authorization-server/oidc',
      ])
        expect((await get(path)).body).toMatchObject({
          issuer: oauth.issuer,
          token_endpoint: `${oauth.issuer}/token`,
          response_types_supported: ['code'],
          code_challenge_methods_supported: ['S256'],
          authorization_response_iss_parameter_supported: true,
          id_token_signing_alg_values_supported: ['ES256'],
          tls_client_certificate_bound_access_tokens: true,
          mtls_endpoint_aliases: {
            token_endpoint: expect.stringMatching(/^https:\/\/localhost:\d+\/oidc\/token$/),
          },
        });
    });

    it('name only endpoints that exist', async () => {
      const { body } = await get('/oidc/.well-known/openid-configuration');
      const named = Object.entries(body as Record<string, string>).filter(([name]) =>
        /_endpoint$|^jwks_uri$/.test(name),
      );
      expect(named.length).toBeGreaterThan(8);
      for (const [, url] of named) {
        const responses = await Promise.all(
          ['GET', 'POST'].map((method) => fetch(url, { method, redirect: 'manual' })),
        );
        expect(responses.map(({ status }) => status)).not.toEqual([404, 404]);
      }
    });

    it('do not list the implicit and password grants', async () => {
      const { grant_types_supported: grants } = (await get('/oidc/.well-known/openid-configuration')).body;
      for (const off of ['implicit', 'password']) expect(grants).not.toContain(off);
    });

    it('have the same absolute URLs as the security schemes of the OpenAPI document', async () => {
      const { body: metadata } = await get('/oidc/.well-known/openid-configuration');
      const { oauth, openIdConnect } = (await get('/openapi.json')).body.components.securitySchemes;
      expect(openIdConnect).toEqual({
        type: 'openIdConnect',
        openIdConnectUrl: `${booted.origin}/oidc/.well-known/openid-configuration`,
      });
      expect(oauth.type).toBe('oauth2');
      expect(oauth.flows).toMatchObject({
        authorizationCode: {
          authorizationUrl: metadata.authorization_endpoint,
          tokenUrl: metadata.token_endpoint,
          refreshUrl: metadata.token_endpoint,
          scopes: { 'documents:read': expect.any(String) },
        },
        clientCredentials: { tokenUrl: metadata.token_endpoint },
      });
    });

    it('link to a key set without private parts', async () => {
      const { keys } = (await get('/oidc/jwks')).body as { keys: Record<string, unknown>[] };
      for (const key of keys)
        expect(Object.keys(key).sort()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y']);
    });
  });

  it.each([
    ['GET', '/oidc/token', 405, 'OPTIONS, POST'],
    ['DELETE', '/oidc/auth', 405, 'GET, HEAD, POST'],
    ['POST', '/oidc/jwks', 405, 'GET, HEAD, OPTIONS'],
    ['PATCH', '/oidc/reg/any', 405, 'DELETE, GET, HEAD, PUT'],
    ['POST', '/.well-known/oauth-authorization-server/oidc', 405, 'GET, HEAD, OPTIONS'],
    ['GET', '/oidc/unknown', 404, null],
    ['POST', '/oidc/TOKEN', 404, null],
    ['POST', '/oidc/token/', 404, null],
  ])('%s %s is a problem with the status %i', async (method, path, status, allow) => {
    const response = await client(booted.origin).send(method, path);
    expect([response.status, response.headers.get('allow')]).toEqual([status, allow]);
    expect(response.headers.get('content-type')).toMatch('application/problem+json');
    expect(response.body.code).toBe(status === 405 ? 'method_not_allowed' : 'not_found');
  });

  describe('the token endpoint', () => {
    it('issues client credentials tokens that can be introspected and revoked', async () => {
      const { status, body } = await machine();
      expect({ status, body }).toMatchObject({
        status: 200,
        body: { token_type: 'Bearer', expires_in: 300 },
      });
      expect(headerOf(body.access_token)).toMatchObject({ typ: 'at+jwt', alg: 'ES256' });
      expect(await oauth.introspect(body.access_token)).toMatchObject({
        active: true,
        client_id: 'machine',
        aud: booted.origin,
      });
      expect(
        (await oauth.post('/token/revocation', { token: body.access_token }, basicOf('machine'))).status,
      ).toBe(200);
      expect(await oauth.introspect(body.access_token)).toEqual({ active: false });
    });

    it('issues opaque tokens to clients configured for them', async () => {
      const { body } = await as('alice').post('/oauth/clients', {
        grant_types: ['client_credentials'],
        response_types: [],
        redirect_uris: [],
        resource_scopes: 'documents:read',
        access_token_format: 'opaque',
        account: 'acme-machine',
      });
      const own = basicOf(body.client_id, body.client_secret);
      const { access_token } = (
        await oauth.post('/token', { grant_type: 'client_credentials', scope: 'documents:read' }, own)
      ).body;
      expect(access_token).not.toContain('.');
      expect(await oauth.introspect(access_token)).toMatchObject({
        active: true,
        aud: booted.origin,
        scope: 'documents:read',
      });
    });

    it('issues an ID token with aud, nonce and a lifetime of five minutes', async () => {
      const { id_token } = await oauth.tokens();
      const keys = createRemoteJWKSet(new URL(`${oauth.issuer}/jwks`));
      const { payload } = await jwtVerify(id_token, keys, {
        issuer: oauth.issuer,
        audience: 'web',
        algorithms: ['ES256'],
      });
      expect(payload).toMatchObject({ sub: 'bob', aud: 'web', nonce: 'n-0S6_WzA2Mj' });
      expect(payload['azp'] ?? 'web').toBe('web');
      expect(payload.exp! - payload.iat!).toBe(300);
    });

    it('issues tokens for the userinfo endpoint only without scopes of the API', async () => {
      const code = await oauth.code({ scope: 'openid profile' });
      const { access_token } = (await oauth.redeem(code)).body;
      const headers = { Authorization: `Bearer ${access_token}` };
      expect((await get('/oidc/me', headers)).body).toMatchObject({ sub: 'bob' });
      expect((await get('/documents', headers)).status).toBe(401);
    });
  });

  describe('key rotation', () => {
    const kidOf = async () => headerOf((await machine()).body.access_token)['kid'] as string;
    /** Expires the cached keys. */
    const reloadKeys = () => Object.assign(booted.app.get(OidcProviderService), { checkedAt: 0 });

    it('signs with the new key and accepts tokens of the previous one (ported from server-rotate-keys)', async () => {
      const before = (await machine()).body.access_token as string;
      await booted.db.manager.update(SigningKey, { generation: 1 }, { activeFrom: new Date(0) });
      await booted.app.get(SigningKeys).rotate(Date.now() - 11 * MINUTE_MS);
      reloadKeys();
      const kid = await kidOf();
      expect(kid).not.toBe(headerOf(before)['kid']);
      const { keys } = (await get('/oidc/jwks')).body as { keys: { kid: string }[] };
      expect(keys.map((key) => key.kid)).toEqual(expect.arrayContaining([kid, headerOf(before)['kid']]));
      expect(await oauth.introspect(before)).toMatchObject({ active: true });
    });

    it('rejects all tokens of a compromised key', async () => {
      const before = (await machine()).body.access_token as string;
      await booted.app.get(SigningKeys).replaceCompromised();
      reloadKeys();
      expect(await kidOf()).not.toBe(headerOf(before)['kid']);
      expect(await oauth.introspect(before)).toEqual({ active: false });
      const { keys } = (await get('/oidc/jwks')).body as { keys: { kid: string }[] };
      expect(keys.map((key) => key.kid)).not.toContain(headerOf(before)['kid']);
    });
  });

  describe('client registration', () => {
    const REDIRECT = { redirect_uris: ['https://client.example/callback'] };
    const invited = async () => ({
      Authorization: `Bearer ${(await as('alice').post('/oauth/initial-access-tokens')).body.initial_access_token}`,
    });
    const register = async (metadata: object, headers?: Record<string, string>) =>
      client(booted.origin).post('/oidc/reg', metadata, headers ?? (await invited()));

    it('lets an administrator add, list and delete clients', async () => {
      const added = await as('alice').post('/oauth/clients', { client_name: 'Reports', ...REDIRECT });
      expect(added).toMatchObject({
        status: 201,
        body: { client_name: 'Reports', grant_types: ['authorization_code'] },
      });
      const { client_id, client_secret } = added.body;
      expect(client_secret).toMatch(/^[\w-]{43}$/);
      const listed = (await as('alice').get('/oauth/clients')).body.items as Record<string, unknown>[];
      const one = listed.find((each) => each['client_id'] === client_id)!;
      expect(one).toMatchObject({ client_name: 'Reports' });
      expect(one).not.toHaveProperty('client_secret');
      expect((await as('mallory').send('DELETE', `/oauth/clients/${client_id}`)).status).toBe(404);
      expect((await as('alice').send('DELETE', `/oauth/clients/${client_id}`)).status).toBe(204);
      expect(await booted.db.manager.existsBy(OauthClient, { id: client_id })).toBe(false);
      const events = await booted.db.manager.find(AuditEvent, {
        where: { target: `oauth-client:${client_id}` },
        order: { seq: 'ASC' },
      });
      expect(events.map(({ event }) => event)).toEqual(['authn_token_created', 'authn_token_revoked']);
    });

    it('lets a client register itself once per initial access token', async () => {
      const headers = await invited();
      const { status, body } = await register({ client_name: 'App', ...REDIRECT }, headers);
      expect({ status, body }).toMatchObject({ status: 201, body: { client_name: 'App', ...REDIRECT } });
      expect((await register(REDIRECT, headers)).status).toBe(401);
      const at = new URL(body.registration_client_uri).pathname;
      const own = { Authorization: `Bearer ${body.registration_access_token}` };
      expect((await get(at, own)).body).toMatchObject({ client_id: body.client_id });
      const changed = await client(booted.origin).send('PUT', at, {
        headers: own,
        body: { client_id: body.client_id, client_name: 'Other', ...REDIRECT },
      });
      expect(changed).toMatchObject({ status: 200, body: { client_name: 'Other' } });
      expect((await get(at, own)).status).toBe(401);
      const next = { Authorization: `Bearer ${changed.body.registration_access_token}` };
      expect((await client(booted.origin).send('DELETE', at, { headers: next })).status).toBe(204);
      expect(
        (
          await oauth.post(
            '/token',
            { grant_type: 'refresh_token', refresh_token: 'x' },
            basicOf(body.client_id, body.client_secret),
          )
        ).body.error,
      ).toBe('invalid_client');
    });

    describe('attacks', () => {
      it.each<[string, object, string]>([
        ['a script', { redirect_uris: ['javascript:alert(1)'] }, 'invalid_redirect_uri'],
        ['plain HTTP', { redirect_uris: ['http://client.example/callback'] }, 'invalid_redirect_uri'],
        ['a fragment', { redirect_uris: ['https://client.example/callback#x'] }, 'invalid_redirect_uri'],
        ['a wildcard', { redirect_uris: ['https://*.example/callback'] }, 'invalid_redirect_uri'],
        [
          'a user in the URL',
          { redirect_uris: ['https://bank.example@evil.example/'] },
          'invalid_redirect_uri',
        ],
        [
          'localhost, for a web client',
          { redirect_uris: ['https://localhost/callback'] },
          'invalid_redirect_uri',
        ],
        [
          'http to another host, for a native client',
          { application_type: 'native', redirect_uris: ['http://evil.example/'] },
          'invalid_redirect_uri',
        ],
        [
          'a scheme without a dot, for a native client',
          { application_type: 'native', redirect_uris: ['myapp:/callback'] },
          'invalid_redirect_uri',
        ],
        [
          'keys at a loopback address',
          { ...REDIRECT, jwks_uri: 'https://127.0.0.1/jwks' },
          'invalid_client_metadata',
        ],
        [
          'keys at a private address',
          { ...REDIRECT, jwks_uri: 'https://[fd00::1]/jwks' },
          'invalid_client_metadata',
        ],
        [
          'keys at localhost',
          { ...REDIRECT, jwks_uri: 'https://a.localhost/jwks' },
          'invalid_client_metadata',
        ],
        [
          'a logo at a private address',
          { ...REDIRECT, logo_uri: 'https://10.0.0.1/logo' },
          'invalid_client_metadata',
        ],
        [
          'a logo over plain HTTP',
          { ...REDIRECT, logo_uri: 'http://client.example/logo' },
          'invalid_client_metadata',
        ],
        ['a software statement', { ...REDIRECT, software_statement: 'e30.e30.x' }, 'invalid_client_metadata'],
        [
          'the client credentials grant',
          { ...REDIRECT, grant_types: ['client_credentials'] },
          'invalid_client_metadata',
        ],
        ['a resource server', { ...REDIRECT, audiences: ['https://api.example'] }, 'invalid_client_metadata'],
        ['unknown scopes', { ...REDIRECT, resource_scopes: 'root' }, 'invalid_client_metadata'],
        ['implicit', { ...REDIRECT, response_types: ['token'] }, 'invalid_client_metadata'],
        ['no redirect URI', {}, 'invalid_redirect_uri'],
      ])('rejects %s, without using up the initial access token', async (_, metadata, error) => {
        const headers = await invited();
        const { status, body } = await register(metadata, headers);
        expect(status).toBe(400);
        expect(['invalid_client_metadata', error]).toContain(body.error);
        expect((await register(REDIRECT, headers)).status).toBe(201);
      });

      it('rejects missing, invented and concurrently used initial access tokens', async () => {
        expect((await register(REDIRECT, {})).status).toBe(401);
        expect((await register(REDIRECT, { Authorization: 'Bearer made-up' })).status).toBe(401);
        const headers = await invited();
        const responses = await Promise.all(Array.from({ length: 20 }, () => register(REDIRECT, headers)));
        expect(responses.filter(({ status }) => status === 201)).toHaveLength(1);
      });

      it.each([
        ['is disabled', { disabledAt: new Date() }],
        ['is no longer an administrator', { roles: ['viewer'] }],
        ['has signed out everywhere', { epoch: 1_000 }],
      ])('rejects an initial access token whose issuer %s', async (_, change) => {
        const { manager } = booted.db;
        const before = await manager.findOneByOrFail(User, { id: 'alice' });
        const headers = await invited();
        await manager.update(User, { id: 'alice' }, change as Partial<User>);
        expect((await register(REDIRECT, headers)).status).toBe(401);
        await manager.update(User, { id: 'alice' }, before);
        expect((await register(REDIRECT, headers)).status).toBe(201);
      });

      it('ignores a secret chosen by the client', async () => {
        const { body } = await register({
          ...REDIRECT,
          token_endpoint_auth_method: 'client_secret_jwt',
          client_secret: 'password',
        });
        expect(body.client_secret).toMatch(/^[\w-]{43}$/);
      });

      it("rejects another client's registration access token, and revokes it", async () => {
        const [first, second] = [await register(REDIRECT), await register(REDIRECT)];
        const at = new URL(first.body.registration_client_uri).pathname;
        const others = { Authorization: `Bearer ${second.body.registration_access_token}` };
        for (const method of ['GET', 'PUT', 'DELETE'])
          expect(
            (
              await client(booted.origin).send(method, at, {
                headers: others,
                ...(method === 'PUT' && { body: {} }),
              })
            ).status,
          ).toBe(401);
        expect((await get(new URL(second.body.registration_client_uri).pathname, others)).status).toBe(401);
        expect(await booted.db.manager.existsBy(OauthClient, { id: first.body.client_id })).toBe(true);
      });

      it('applies the same rules to changes', async () => {
        const { body } = await register(REDIRECT);
        const changed = await client(booted.origin).send(
          'PUT',
          new URL(body.registration_client_uri).pathname,
          {
            headers: { Authorization: `Bearer ${body.registration_access_token}` },
            body: { client_id: body.client_id, ...REDIRECT, grant_types: ['client_credentials'] },
          },
        );
        expect(changed).toMatchObject({ status: 400, body: { error: 'invalid_client_metadata' } });
      });

      it('denies registration routes to other roles and limited credentials', async () => {
        for (const username of ['bob', 'carol', 'dave'])
          for (const [path, body] of [
            ['/oauth/clients', REDIRECT] as const,
            ['/oauth/initial-access-tokens', {}] as const,
          ])
            expect((await as(username).post(path, body)).status).toBe(403);
        const key = await as('alice').post('/api-keys', { name: 'limited', scopes: ['documents:read'] });
        const limited = client(booted.origin, { 'X-API-Key': key.body.key });
        expect((await limited.post('/oauth/clients', REDIRECT)).status).toBe(403);
      });

      it('requires a machine account of the tenant for client credentials', async () => {
        const service = { grant_types: ['client_credentials'], response_types: [], redirect_uris: [] };
        for (const account of ['bob', 'globex-machine', 'nobody', undefined])
          expect(await as('alice').post('/oauth/clients', { ...service, account })).toMatchObject({
            status: 422,
            body: { code: 'invalid_account' },
          });
        expect(
          (await as('alice').post('/oauth/clients', { ...REDIRECT, account: 'acme-machine' })).status,
        ).toBe(422);
      });

      it('rejects a chosen client id or secret', async () => {
        for (const chosen of [{ client_id: 'bob' }, { client_secret: 'password' }])
          expect((await as('alice').post('/oauth/clients', { ...REDIRECT, ...chosen })).status).toBe(422);
      });
    });
  });

  describe('error handling', () => {
    it('logs and audits rejected clients', async () => {
      log = '';
      await oauth.post('/token', { grant_type: 'client_credentials' }, basicOf('machine', 'wrong'));
      expect(log).toMatch(/"event":"request rejected".*invalid secret provided, client machine/);
      await booted.app.get(AuditLog).flush();
      const events = await booted.db.manager.find(AuditEvent, {
        where: { event: 'authn_login_fail', method: 'oauth' },
        order: { seq: 'ASC' },
      });
      expect(events.at(-1)).toMatchObject({
        ip: '127.0.0.1',
        details: { code: 'invalid_client', reason: 'invalid secret provided, client machine' },
      });
    });

    it('logs internal errors with the request id, and does not disclose them', async () => {
      log = '';
      const find = booted.db.manager.findOneBy.bind(booted.db.manager);
      booted.db.manager.findOneBy = () => Promise.reject(new Error('the disk is full'));
      const { status, body, headers } = await oauth.post(
        '/token',
        { grant_type: 'client_credentials' },
        basicOf('nobody', 'x'),
      );
      booted.db.manager.findOneBy = find;
      expect({ status, body }).toMatchObject({ status: 500, body: { error: 'server_error' } });
      expect(JSON.stringify(body)).not.toContain('the disk is full');
      const line = log.split('\n').find((each) => each.includes('the disk is full'));
      expect(line).toContain(headers.get('x-request-id')!);
    });

    it('blocks an address after too many wrong secrets', async () => {
      const few = await boot({ publicUrlIsOrigin: true, env: { RATE_LIMIT_BAD_CREDENTIALS: '5' } });
      const other = oauthAt(few.origin);
      const statuses = [];
      for (let i = 0; i < 8; i++)
        statuses.push(
          (await other.post('/token', { grant_type: 'client_credentials' }, basicOf('machine', `guess ${i}`)))
            .status,
        );
      await few.close();
      expect(statuses).toEqual([401, 401, 401, 401, 401, 401, 429, 429]);
    });
  });

  it('stores no usable secret in the database', async () => {
    const code = await oauth.code({ scope: 'openid offline_access documents:read', prompt: 'consent' });
    const { access_token, refresh_token, id_token } = (await oauth.redeem(code)).body;
    const opaque = (await machine({ resource: `${booted.origin}/archive` })).body.access_token;
    const added = await as('alice').post('/oauth/clients', { redirect_uris: ['https://a.example/'] });
    const { initial_access_token } = (await as('alice').post('/oauth/initial-access-tokens')).body;
    const registered = await client(booted.origin).post(
      '/oidc/reg',
      { redirect_uris: ['https://b.example/'] },
      { Authorization: `Bearer ${initial_access_token}` },
    );
    const pushed = await oauth.post(
      '/request',
      Object.fromEntries(oauth.authorization().searchParams),
      basicOf('web'),
    );
    const dump: string[] = [];
    for (const { tableName } of booted.db.entityMetadatas)
      dump.push(JSON.stringify(await booted.db.query(`SELECT * FROM "${tableName}"`)));
    const all = dump.join('\n');
    expect(all).toContain(createHash('sha256').update(`opaque ${opaque}`).digest('base64url'));
    for (const secret of [
      code,
      access_token,
      (access_token as string).split('.')[2],
      refresh_token,
      id_token,
      opaque,
      added.body.client_secret,
      initial_access_token,
      registered.body.client_secret,
      registered.body.registration_access_token,
      (pushed.body.request_uri as string).split(':').at(-1),
      'web-demo-secret-0123456789abcdef',
    ])
      expect(all.includes(secret)).toBe(false);
    expect(claimsOf(id_token)['sub']).toBe('bob');
  });

  it('writes nothing to the console', async () => {
    const spa = { client_id: 'spa', redirect_uri: 'http://localhost:5173/callback' };
    const browser = { Origin: 'http://localhost:5173' };
    const code = await oauth.code({
      ...spa,
      scope: 'openid offline_access documents:read',
      prompt: 'consent',
    });
    const { status, headers } = await oauth.redeem(code, spa, browser);
    expect({ status, allowed: headers.get('access-control-allow-origin') }).toEqual({
      status: 200,
      allowed: browser.Origin,
    });
    const elsewhere = await oauth.redeem(code, spa, { Origin: 'https://evil.example' });
    expect(elsewhere.headers.get('access-control-allow-origin')).toBeNull();
    const withSecret = { ...basicOf('web'), Origin: 'http://localhost:4000' };
    expect((await oauth.redeem(code, {}, withSecret)).headers.get('access-control-allow-origin')).toBeNull();
    await oauth.authorize({ client_id: 'nobody' });
    await get('/oidc/session/end');
    await get('/oidc/nothing/here');
    const isAboutNode = (words: unknown) => /Unsupported runtime/.test(String(words));
    expect(consoleOutput.filter((words) => !isAboutNode(words))).toEqual([]);
  });
});
