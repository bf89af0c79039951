import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { OauthClientOrigins1700000607000 } from '../../src/authorization-server/authorization-server.migration.js';
import { ClientsService } from '../../src/authorization-server/clients/clients.service.js';
import { OauthClientOrigin } from '../../src/authorization-server/clients/oauth-client.entity.js';
import { boot, client, type Booted } from '../support/app.js';
import { basicOf, formOf } from './flows.js';

const SPA = 'http://localhost:5173';
const LISTED = 'https://listed.example';
const METADATA = '/.well-known/oauth-authorization-server/oidc';

/** Origins of no public web client: strangers, one in `CORS_ORIGINS`, those of the clients `web`, `native` and `fapi`, and spellings. */
const OTHERS = [
  'https://evil.example',
  LISTED,
  'null',
  '*',
  'http://localhost:4000',
  'https://localhost:4443',
  'http://127.0.0.1',
  'http://127.0.0.1:5173',
  'https://localhost:5173',
  'http://localhost',
  `${SPA}/`,
  `${SPA}.evil.example`,
  'HTTP://LOCALHOST:5173',
];

const corsOf = (headers: Headers) =>
  Object.fromEntries([...headers].filter(([name]) => name.startsWith('access-control-')));

describe('the authorization server and pages of other origins', () => {
  let booted: Booted;
  beforeAll(async () => {
    booted = await boot({ publicUrlIsOrigin: true, env: { CORS_ORIGINS: LISTED } });
  });
  afterAll(() => booted.close());

  const clients = () => booted.app.get(ClientsService, { strict: false });
  const send = async (method: string, path: string, headers: Record<string, string>, form?: object) => {
    const {
      status,
      headers: sent,
      ...response
    } = await client(booted.origin).send(method, path, {
      headers: { ...headers, ...(form && { 'Content-Type': 'application/x-www-form-urlencoded' }) },
      ...(form && { body: formOf(form as Record<string, string>) }),
    });
    const body = response.body as { error?: string };
    return { status, error: body.error, cors: corsOf(sent), vary: sent.get('vary') };
  };
  const preflight = (path: string, Origin: string, method = 'POST') =>
    send('OPTIONS', path, {
      Origin,
      'Access-Control-Request-Method': method,
      'Access-Control-Request-Headers': 'dpop',
      'Access-Control-Request-Private-Network': 'true',
    });

  const ENDPOINTS = [
    ['/oidc/token', 'POST'],
    ['/oidc/token/introspection', 'POST'],
    ['/oidc/token/revocation', 'POST'],
    ['/oidc/request', 'POST'],
    ['/oidc/device/auth', 'POST'],
    ['/oidc/me', 'GET,POST'],
    ['/oidc/jwks', 'GET'],
    ['/oidc/.well-known/openid-configuration', 'GET'],
    [METADATA, 'GET'],
  ] as const;

  describe.each(ENDPOINTS)('at %s', (path, methods) => {
    it('answers the preflight of a public client’s page', async () => {
      const { status, cors, vary } = await preflight(path, SPA, methods.split(',')[0]);
      expect(status).toBe(204);
      expect(cors).toEqual({
        'access-control-allow-origin': SPA,
        'access-control-allow-methods': methods,
        'access-control-allow-headers': 'dpop',
        'access-control-max-age': '3600',
      });
      expect(vary).toBe('Origin');
    });

    it('reflects no other origin, in preflights, responses and errors', async () => {
      for (const origin of OTHERS) {
        expect([origin, (await preflight(path, origin)).cors]).toEqual([origin, {}]);
        for (const method of methods.split(',')) {
          const form = method === 'POST' ? { client_id: 'nobody' } : undefined;
          expect([origin, (await send(method, path, { Origin: origin }, form)).cors]).toEqual([origin, {}]);
        }
      }
    });
  });

  describe('responds to the page of a public client', () => {
    const SHARED = { 'access-control-allow-origin': SPA };
    const token = (form: object, Origin?: string, headers = {}) =>
      send('POST', '/oidc/token', { ...(Origin && { Origin }), ...headers }, form);
    const wrongCode = { grant_type: 'authorization_code', client_id: 'spa', code: 'x', redirect_uri: 'x' };

    it('with headers on success and on errors', async () => {
      for (const [path] of ENDPOINTS.slice(-3))
        expect(await send('GET', path, { Origin: SPA })).toMatchObject({ status: 200, cors: SHARED });
      expect(await send('GET', '/oidc/me', { Origin: SPA })).toMatchObject({
        status: 401,
        cors: { ...SHARED, 'access-control-expose-headers': 'DPoP-Nonce,WWW-Authenticate' },
      });
      expect(await token(wrongCode, SPA)).toMatchObject({
        status: 400,
        error: 'invalid_grant',
        cors: SHARED,
      });
      expect(await token({ ...wrongCode, client_id: 'nobody' }, SPA)).toMatchObject({
        status: 401,
        error: 'invalid_client',
        cors: SHARED,
      });
    });

    it('but not for a client that is another page’s', async () => {
      await clients().upsert('other-spa', {
        token_endpoint_auth_method: 'none',
        redirect_uris: ['https://other.example/callback', 'com.example.app:/callback'],
        grant_types: ['authorization_code'],
      });
      for (const [form, headers] of [
        [wrongCode, {}],
        [{ grant_type: 'client_credentials' }, basicOf('machine')],
        [{ ...wrongCode, client_id: '' }, basicOf('web')],
      ] as const) {
        const refused = await token(form, 'https://other.example', headers);
        expect(refused).toMatchObject({ status: 400, error: 'invalid_request', cors: {} });
      }
    });

    it('with no header for a request without Origin', async () => {
      expect((await token(wrongCode)).cors).toEqual({});
      expect((await send('GET', '/oidc/jwks', {})).cors).toEqual({});
    });
  });

  it('has no headers for pages that users open, and for registration', async () => {
    for (const path of ['/oidc/auth', '/oidc/session/end', '/oidc/device', '/oidc/reg'])
      for (const method of ['GET', 'POST'])
        expect((await send(method, path, { Origin: SPA }, method === 'POST' ? {} : undefined)).cors).toEqual(
          {},
        );
  });

  it('follows changes of a client', async () => {
    const metadata = (redirect_uris: string[], more: object = {}) => ({
      token_endpoint_auth_method: 'none' as const,
      redirect_uris,
      grant_types: ['authorization_code'],
      ...more,
    });
    const allows = async (origin: string) =>
      (await preflight('/oidc/token', origin)).cors['access-control-allow-origin'] === origin;
    const [first, second] = ['https://first.example', 'https://second.example'];
    expect(await allows(first)).toBe(false);
    await clients().upsert('changing', metadata([`${first}/a`, `${first}/b`]));
    expect([await allows(first), await allows(second)]).toEqual([true, false]);
    await clients().upsert('changing', metadata([`${second}/a`]));
    expect([await allows(first), await allows(second)]).toEqual([false, true]);
    await clients().upsert('changing', {
      ...metadata([`${second}/a`], { client_secret: 's'.repeat(43) }),
      token_endpoint_auth_method: 'client_secret_basic',
    });
    expect(await allows(second)).toBe(false);
    await clients().upsert('changing', metadata([`${second}/a`], { application_type: 'native' }));
    expect(await allows(second)).toBe(false);
    await clients().upsert('changing', metadata([`${second}/a`]));
    await clients().destroy('changing');
    expect(await allows(second)).toBe(false);
    expect(await booted.db.manager.countBy(OauthClientOrigin, { clientId: 'changing' })).toBe(0);
  });

  it('allows the pages of clients that were registered before the upgrade', async () => {
    const migration = new OauthClientOrigins1700000607000();
    const runner = booted.db.createQueryRunner();
    try {
      await migration.down(runner);
      await migration.up(runner);
    } finally {
      await runner.release();
    }
    expect((await preflight('/oidc/token', SPA)).cors).toMatchObject({ 'access-control-allow-origin': SPA });
    expect(await booted.db.manager.countBy(OauthClientOrigin, { clientId: 'web' })).toBe(0);
  });

  it('allows the pages of clients that an administrator registers', async () => {
    const login = { username: 'alice', password: 'correct-horse-battery-staple', as: 'jwt' };
    const { body } = await client(booted.origin).post('/auth/login', login);
    const origin = 'https://administered.example';
    const { status } = await client(booted.origin).post(
      '/oauth/clients',
      { token_endpoint_auth_method: 'none', redirect_uris: [`${origin}/callback`] },
      { Authorization: `Bearer ${body.access_token}` },
    );
    expect(status).toBe(201);
    expect((await preflight('/oidc/token', origin)).cors).toMatchObject({
      'access-control-allow-origin': origin,
    });
  });
});
