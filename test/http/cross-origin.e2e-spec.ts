import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Document } from '../../src/documents/document.entity.js';
import { Settings } from '../../src/config/settings.js';
import { DEMO_SPA_ORIGIN, readServerConfig } from '../../src/http/server.config.js';
import { DEMO_PASSWORD } from '../../src/users/users.demo.js';
import { as, boot, client, RANDOM_SECRET, type Booted } from '../support/app.js';
import { sendRaw } from '../support/wire.js';

const APP = 'https://app.example.com';
const OTHER = 'https://app.example.org';
const NO_CORS = {};

const EXPOSED =
  'Allow, Authentication-Info, Content-Digest, DPoP-Nonce, ETag, Link, Location, Retry-After, Signature, Signature-Input, ' +
  'WWW-Authenticate, X-Request-Id';
const SHARED = { 'access-control-allow-origin': APP, 'access-control-expose-headers': EXPOSED };

const corsOf = (headers: Headers) =>
  Object.fromEntries([...headers].filter(([name]) => name.startsWith('access-control-')));

describe('cross-origin requests', () => {
  let adapters: Booted[];
  let booted: Booted;
  beforeAll(async () => {
    const env = { CORS_ORIGINS: `${APP}, http://localhost:9000` };
    adapters = [
      await boot({ env: { ...env, HTTP_ADAPTER: 'fastify' } }),
      await boot({ env: { ...env, HTTP_ADAPTER: 'express' } }),
    ];
    booted = adapters[process.env['HTTP_ADAPTER'] === 'express' ? 1 : 0]!;
  });
  afterAll(async () => {
    for (const each of adapters) await each.close();
  });

  type Send = [method: string, path: string, headers: Record<string, string>, body?: unknown];
  /** Sends a request to both adapters, which must respond alike. */
  const send = async (...[method, path, headers, body]: Send) => {
    const [fastify, express] = await Promise.all(
      adapters.map((each) => client(each.origin).send(method, path, { headers, body })),
    );
    const seen = ({ status, headers: sent }: typeof fastify & object) => [
      status,
      corsOf(sent),
      sent.get('vary'),
      sent.get('content-length') === null,
    ];
    expect(seen(express!)).toEqual(seen(fastify!));
    return fastify!;
  };
  const preflight = (path: string, method: string, more: Record<string, string> = {}) =>
    send('OPTIONS', path, { Origin: APP, 'Access-Control-Request-Method': method, ...more });

  describe('preflights', () => {
    it.each([
      ['/documents', 'GET, HEAD, POST'],
      ['/documents/1', 'DELETE, GET, HEAD, PATCH'],
      ['/documents/1/shares/bob', 'DELETE, PUT'],
      ['/me', 'GET, HEAD'],
      ['/openapi.json', 'GET, HEAD'],
    ])('of %s name the methods of the route', async (path, methods) => {
      const { status, headers, body } = await preflight(path, 'PATCH', {
        'Access-Control-Request-Headers': 'authorization,if-match,x-evil',
      });
      expect([status, body]).toEqual([204, '']);
      expect(corsOf(headers)).toEqual({
        'access-control-allow-origin': APP,
        'access-control-allow-methods': methods,
        'access-control-allow-headers':
          'Authorization, Content-Type, If-Match, If-None-Match, DPoP, X-API-Key, X-Amz-Date, Content-Digest, Signature, ' +
          'Signature-Input, Accept-Signature',
        'access-control-max-age': '600',
      });
      expect(headers.get('vary')).toBe('Origin');
    });

    it('of an unknown path name no method, so that the page can read the 404', async () => {
      const { status, headers } = await preflight('/nothing', 'GET');
      expect([status, corsOf(headers)['access-control-allow-methods']]).toEqual([204, undefined]);
      expect(corsOf((await send('GET', '/nothing', { Origin: APP })).headers)).toEqual(SHARED);
    });

    it('never allow requests from public pages to a private network', async () => {
      const { headers } = await preflight('/documents', 'GET', {
        'Access-Control-Request-Private-Network': 'true',
        'Access-Control-Request-Local-Network': 'true',
      });
      expect(Object.keys(corsOf(headers)).filter((name) => name.includes('network'))).toEqual([]);
    });

    it('are a 405 without Access-Control-Request-Method, as before', async () => {
      const { status, headers } = await send('OPTIONS', '/me', { Origin: APP });
      expect([status, headers.get('allow'), corsOf(headers)]).toEqual([405, 'GET, HEAD', SHARED]);
    });

    it('do not hide an invalid request', async () => {
      const { status, headers } = await preflight('/documents%2F1', 'GET');
      expect([status, corsOf(headers)['access-control-allow-origin']]).toEqual([400, APP]);
    });
  });

  it.each([
    OTHER,
    'null',
    '*',
    'http://app.example.com',
    `${APP}:443`,
    `${APP}:8443`,
    `${APP}/`,
    `${APP}.evil.example`,
    'https://evil-app.example.com',
    'https://sub.app.example.com',
    'https://APP.example.com',
    `${APP}, ${APP}`,
    `${APP} ${OTHER}`,
    'https://app.example.com.',
  ])('get no header for the origin %s, and the same response as before', async (origin) => {
    for (const [path, status] of [
      ['/health/live', 200],
      ['/me', 401],
      ['/nothing', 404],
    ] as const) {
      const { headers, ...response } = await send('GET', path, { Origin: origin });
      expect([response.status, corsOf(headers), headers.get('vary')]).toEqual([status, NO_CORS, 'Origin']);
    }
    const refused = await preflight('/documents', 'POST', { Origin: origin });
    expect([refused.status, refused.headers.get('allow')]).toEqual([405, 'GET, HEAD, POST']);
    expect(corsOf(refused.headers)).toEqual(NO_CORS);
  });

  it('get no header for two Origin lines', async () => {
    for (const each of adapters) {
      const request = [
        'GET /me HTTP/1.1',
        'Host: a',
        `Origin: ${APP}`,
        `Origin: ${APP}`,
        'Connection: close',
      ];
      const response = await sendRaw(each, `${request.join('\r\n')}\r\n\r\n`);
      expect(response).not.toMatch(/access-control-/i);
    }
  });

  it('can read errors, and the headers of success', async () => {
    const alice = as({ id: 'alice', roles: ['admin'] });
    const page = { Origin: APP, 'Sec-Fetch-Site': 'cross-site' };
    const created = await send('POST', '/documents', { ...page, ...alice }, { title: 'Of a page' });
    expect([created.status, corsOf(created.headers), created.headers.get('location')]).toEqual([
      201,
      SHARED,
      expect.stringMatching(/^\/documents\//),
    ]);
    for (const [method, path, headers, status, body] of [
      ['GET', '/me', {}, 401],
      ['GET', '/me', { Authorization: 'Bearer x' }, 401],
      ['GET', '/documents/none', alice, 404],
      ['GET', '/nothing', {}, 404],
      ['POST', '/documents', alice, 422, {}],
      ['POST', '/documents', { ...alice, 'Content-Type': 'text/plain' }, 415, 'text'],
      ['POST', '/documents', { ...alice, 'Content-Type': 'application/json' }, 400, '{'],
      ['POST', '/documents', alice, 413, { title: 'x'.repeat(300_000) }],
      ['PUT', '/me', alice, 405],
      ['GET', '/me%00', {}, 400],
    ] as const) {
      const response = await send(method, path, { ...page, ...headers }, body);
      expect([path, response.status, corsOf(response.headers)]).toEqual([path, status, SHARED]);
    }
  });

  it('can read a 429 with Retry-After', async () => {
    const limited = await boot({ env: { CORS_ORIGINS: APP, RATE_LIMIT_PER_ADDRESS: '1' } });
    try {
      const get = () => client(limited.origin).get('/me', { Origin: APP });
      await get();
      const { status, headers } = await get();
      expect([status, corsOf(headers), headers.has('retry-after')]).toEqual([429, SHARED, true]);
    } finally {
      await limited.close();
    }
  });

  describe('never use the session', () => {
    /** Signs bob in with a session. @returns its cookie */
    const cookieOf = async () => {
      const login = { username: 'bob', password: DEMO_PASSWORD, as: 'session' };
      const { headers, body } = await client(booted.origin).post('/auth/login', login);
      return { Cookie: headers.getSetCookie()[0]!.split(';')[0]!, csrf: body.csrf_token as string };
    };

    it('for a read: the cookie that a browser sends to its own site counts as absent', async () => {
      const { Cookie } = await cookieOf();
      const me = (headers: Record<string, string>) =>
        client(booted.origin).get('/me', { Cookie, ...headers });
      expect((await me({})).status).toBe(200);
      const { status, headers } = await me({ Origin: APP, 'Sec-Fetch-Site': 'same-site' });
      expect([status, corsOf(headers)]).toEqual([401, SHARED]);
    });

    it('for a write, even with the CSRF token', async () => {
      const { Cookie, csrf } = await cookieOf();
      const count = await booted.db.manager.count(Document);
      const { status, headers } = await client(booted.origin).post(
        '/documents',
        { title: 'Of a page' },
        { Cookie, Origin: APP, 'X-CSRF-Token': csrf, 'Sec-Fetch-Site': 'same-origin' },
      );
      expect([status, corsOf(headers)]).toEqual([401, SHARED]);
      expect(await booted.db.manager.count(Document)).toBe(count);
    });

    it('and start none', async () => {
      const login = { username: 'bob', password: DEMO_PASSWORD, as: 'session' };
      const page = { Origin: APP, 'Sec-Fetch-Site': 'same-site' };
      const { status, headers } = await client(booted.origin).post('/auth/login', login, page);
      expect([status, headers.getSetCookie()]).toEqual([403, []]);
    });

    it('and leave the checks of Basic as strict', async () => {
      const basic = `Basic ${Buffer.from(`bob:${DEMO_PASSWORD}`).toString('base64')}`;
      const page = { Authorization: basic, Origin: APP, 'Sec-Fetch-Site': 'cross-site' };
      const { status, body } = await client(booted.origin).post('/documents', { title: 'x' }, page);
      expect([status, body.code]).toEqual([403, 'cross_site_request']);
    });
  });

  describe('are configured by CORS_ORIGINS', () => {
    const originsOf = (env: Record<string, string>) => [...readServerConfig(Settings.from(env)).corsOrigins];
    const production = {
      NODE_ENV: 'production',
      PUBLIC_URL: 'https://api.example.com',
      APP_SECRET: RANDOM_SECRET,
    };

    it('which is empty by default, and is the demo application in the demo', () => {
      expect(originsOf(production)).toEqual([]);
      expect(originsOf({ APP_SECRET: RANDOM_SECRET, DEMO: 'false' })).toEqual([]);
      expect(originsOf({})).toEqual([DEMO_SPA_ORIGIN]);
      expect(originsOf({ CORS_ORIGINS: APP })).toEqual([APP]);
      expect(originsOf({ PORT: '5173' })).toEqual([]);
    });

    it.each([
      '*',
      'null',
      'https://*.example.com',
      `${APP}/`,
      `${APP}/path`,
      `${APP}?query`,
      `${APP}#fragment`,
      `${APP}:443`,
      'https://user@app.example.com',
      'https://App.example.com',
      'https://münchen.example',
      'app.example.com',
      'ftp://app.example.com',
      'file://',
      'chrome-extension://abc',
      'http://127.1',
      'http://localhost:',
      `${APP},`,
      `${APP},,${OTHER}`,
      `${APP} ${OTHER}`,
      `${APP};${OTHER}`,
    ])('and rejects %s at the start', (CORS_ORIGINS) => {
      expect(() => originsOf({ CORS_ORIGINS })).toThrow(
        'CORS_ORIGINS must list origins, as https://app.example.com.',
      );
    });

    it('and rejects plain HTTP in production, and the own origin', () => {
      for (const origin of ['http://app.example.com', 'http://localhost:5173', `${APP},http://127.0.0.1`])
        expect(() => originsOf({ ...production, CORS_ORIGINS: origin })).toThrow(
          'CORS_ORIGINS must begin with https: in production.',
        );
      for (const env of [
        { ...production, CORS_ORIGINS: 'https://api.example.com' },
        { CORS_ORIGINS: 'http://127.0.0.1:3000' },
      ])
        expect(() => originsOf(env)).toThrow('CORS_ORIGINS must list other origins than that of PUBLIC_URL.');
    });
  });

  it('get no header at all without the setting', async () => {
    const closed = await boot({ env: { DEMO: 'false' } });
    try {
      const { headers } = await client(closed.origin).get('/me', { Origin: APP });
      expect([corsOf(headers), headers.get('vary')]).toEqual([NO_CORS, null]);
    } finally {
      await closed.close();
    }
  });

  it('keep the Vary header of a route', async () => {
    const { headers } = await send('GET', '/', { Origin: APP });
    expect(headers.get('vary')).toBe('Accept, Origin');
  });
});
