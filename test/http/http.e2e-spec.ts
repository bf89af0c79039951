import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { as, boot, client, type Booted } from '../support/app.js';
import {
  HttpRoutes,
  SECURITY,
  credential,
  expectRejection,
  get,
  parseResponse,
  request,
  sendRaw,
} from '../support/wire.js';

describe('HTTP', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await boot({ controllers: [HttpRoutes] })));
  afterAll(() => booted.close());

  it('sends the security headers with every kind of response, and no header that names the software', async () => {
    const { send } = client(booted.origin);
    const responses = {
      200: await send('GET', '/http/probe'),
      201: await send('POST', '/http/body', { body: { name: 'a' } }),
      '400 request target': await send('GET', '/%'),
      '400 body': await send('POST', '/http/body', { body: '{' }),
      401: await send('GET', '/me'),
      404: await send('GET', '/nothing'),
      405: await send('PUT', '/http/probe'),
      413: await send('POST', '/http/body', { body: 'x'.repeat(300_000) }),
      415: await send('POST', '/http/body', { body: 'x', headers: { 'Content-Type': 'text/plain' } }),
      422: await send('POST', '/http/body', { body: {} }),
      500: await send('GET', '/http/broken'),
      HEAD: await send('HEAD', '/http/probe'),
      OPTIONS: await send('OPTIONS', '/http/probe', {
        headers: { Origin: 'https://evil.test', 'Access-Control-Request-Method': 'GET' },
      }),
    };
    for (const [name, { status, headers }] of Object.entries(responses)) {
      if (Number(name)) expect([name, status]).toEqual([name, Number(name)]);
      expect([name, Object.fromEntries(headers)]).toEqual([name, expect.objectContaining(SECURITY)]);
      expect(headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
      const names = [...headers.keys()].filter((each) =>
        /powered|^server$|^etag$|access-control|via/.test(each),
      );
      expect([name, names]).toEqual([name, []]);
    }
  });

  it('lets a public route allow caching', async () => {
    expect((await client(booted.origin).get('/http/cached')).headers.get('cache-control')).toBe(
      'public, max-age=60',
    );
  });

  it('accepts only one spelling of a path', async () => {
    const alice = client(booted.origin, as({ id: 'alice' }));
    expect((await alice.get('/me')).status).toBe(200);
    for (const path of [
      '/ME',
      '/me/',
      '//me',
      '/me//',
      '/./me',
      '/x/../me',
      '/%6de',
      '/m%65',
      '/me%2f',
      '/%2fme',
      '/me%00',
      '/me%5c',
      '/me;a=b',
      '/me%3B',
      '/me.',
      '/me%20',
      '/me#x',
      '/me,',
    ]) {
      const response = parseResponse(await sendRaw(booted, get(path, credential(as({ id: 'alice' })))));
      expect([path, response.status]).toEqual([
        path,
        path.startsWith('/me#') || /%(6d|65|2f|00|5c)/.test(path) ? 400 : 404,
      ]);
    }
  });

  it('trusts X-Forwarded-For only from TRUST_PROXY', async () => {
    const forwarded = {
      'X-Forwarded-For': '198.51.100.7, 10.0.0.9',
      'X-Real-IP': '1.1.1.1',
      Forwarded: 'for=1.1.1.1',
      'CF-Connecting-IP': '1.1.1.1',
    };
    const ip = async (each: Booted) =>
      (await client(each.origin, forwarded).get('/http/address')).body.ip as string;
    expect(await ip(booted)).toBe('127.0.0.1');
    const behind = await boot({ controllers: [HttpRoutes], env: { TRUST_PROXY: '127.0.0.1,10.0.0.0/8' } });
    expect(await ip(behind)).toBe('198.51.100.7');
    await behind.close();
    const elsewhere = await boot({ controllers: [HttpRoutes], env: { TRUST_PROXY: '192.0.2.1' } });
    expect(await ip(elsewhere)).toBe('127.0.0.1');
    await elsewhere.close();
  });

  it('trusts X-Forwarded-Proto and Client-Cert only from a trusted proxy', async () => {
    const forwarded = {
      'X-Forwarded-Proto': 'https',
      'Client-Cert': ':AAAA:',
      'Client-Cert-Chain': ':AAAA:',
    };
    const trusted = async (each: Booted) => {
      const { get } = client(each.origin, forwarded);
      return { ...(await get('/http/certificate')).body, secure: (await get('/http/address')).body.secure };
    };
    expect(await trusted(booted)).toEqual({ headers: null, lines: [], secure: false });
    const behind = await boot({ controllers: [HttpRoutes], env: { TRUST_PROXY: '127.0.0.1' } });
    expect(await trusted(behind)).toEqual({ headers: ':AAAA:', lines: [':AAAA:'], secure: true });
    await behind.close();
  });

  it('rejects an unknown expectation with 417, and supports 100-continue', async () => {
    const lines = [
      'POST /http/body HTTP/1.1',
      'Host: a',
      'Content-Type: application/json',
      'Content-Length: 12',
      'Connection: close',
    ];
    expectRejection(
      await sendRaw(booted, `${request(...lines, 'Expect: miracles')}{"name":"a"}`),
      417,
      'expectation_failed',
    );
    expect(await sendRaw(booted, `${request(...lines, 'Expect: 100-continue')}{"name":"a"}`)).toMatch(
      /^HTTP\/1.1 100 .*HTTP\/1.1 201 /s,
    );
  });

  describe('attacks', () => {
    it('rejects a value of another type', async () => {
      const { send, post } = client(booted.origin);
      for (const query of [
        'name=a&name=b',
        'name[x]=1',
        'name[]=1',
        'name.x=1',
        '__proto__=1',
        'constructor=1',
        'Name=a',
        '%6eame=a&name=b',
        'other',
      ])
        expect([query, (await send('GET', `/http/query?${query}`)).body.code]).toEqual([
          query,
          'invalid_query',
        ]);
      for (const name of [['a'], { a: 1 }, 1, true, null, [], {}])
        expect(await post('/http/body', { name })).toMatchObject({
          status: 422,
          body: { errors: [{ field: 'name' }] },
        });
      for (const body of [[], 'text', 1, null, true, [{ name: 'a' }]])
        expect(await post('/http/body', JSON.stringify(body))).toMatchObject({
          status: 422,
          body: { errors: [{ field: 'body' }] },
        });
    });

    it('reads a value only from the body or only from the query', async () => {
      const everywhere = client(booted.origin, { name: 'header', Cookie: 'name=cookie' });
      expect((await everywhere.post('/http/body?name=query', {})).status).toBe(422);
      expect((await everywhere.post('/http/body?name=query', { name: 'body' })).body).toEqual({
        name: 'body',
      });
      expect((await everywhere.send('GET', '/http/query?name=query')).body).toEqual({ name: 'query' });
    });

    it('rejects paths that a cache could take for a static file', async () => {
      const alice = client(booted.origin, as({ id: 'alice' }));
      expect((await alice.get('/me')).headers.get('cache-control')).toBe('no-store');
      for (const path of [
        '/me/x.css',
        '/me.css',
        '/me;x.css',
        '/me/..;/x.css',
        '/me%3Fx.css',
        '/me/%0Ax.css',
        '/me%23.js',
      ]) {
        const response = await alice.get(path);
        expect([path, response.status]).toEqual([path, 404]);
        expect(response.headers.get('cache-control')).toBe('no-store');
      }
    });
  });
});
