import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { as, boot, client, type Booted } from '../support/app.js';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import {
  HttpRoutes,
  credential,
  expectRejection,
  get,
  open,
  parseResponse,
  post,
  handlerCalls,
  request,
  sendRaw,
} from '../support/wire.js';

describe('malformed and ambiguous requests', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await boot({ controllers: [HttpRoutes] })));
  afterAll(() => booted.close());

  it('rejects framing that two parsers could read differently', async () => {
    const smuggled = 'GET /http/probe HTTP/1.1\r\nHost: a\r\n\r\n';
    const forms = {
      'CL.TE': `${post('Content-Length: 4', 'Transfer-Encoding: chunked')}0\r\n\r\n${smuggled}`,
      'TE.CL': `${post('Transfer-Encoding: chunked', 'Content-Length: 4')}0\r\n\r\n${smuggled}`,
      'TE.TE': `${post('Transfer-Encoding: chunked', 'Transfer-Encoding: identity')}0\r\n\r\n${smuggled}`,
      xchunked: `${post('Transfer-Encoding: xchunked')}0\r\n\r\n${smuggled}`,
      'chunked, chunked': `${post('Transfer-Encoding: chunked, chunked')}0\r\n\r\n${smuggled}`,
      'chunked, identity': `${post('Transfer-Encoding: chunked, identity')}0\r\n\r\n${smuggled}`,
      'two lengths': `${post('Content-Length: 0', 'Content-Length: 44')}${smuggled}`,
      'a list of lengths': `${post('Content-Length: 0, 44')}${smuggled}`,
      'a signed length': `${post('Content-Length: +0')}${smuggled}`,
      'a length in hex': `${post('Content-Length: 0x0')}${smuggled}`,
      'space before the colon': `${post('Content-Length : 0')}${smuggled}`,
      'obs-fold': `${post('Content-Length: 0', 'X-A: b', ' Transfer-Encoding: chunked')}${smuggled}`,
      'bare LF': `POST /http/body HTTP/1.1\nHost: a\nContent-Length: 0\n\n${smuggled}`,
      'bare CR': `${post('X-A: b\rContent-Length: 44', 'Content-Length: 0')}${smuggled}`,
      NUL: `${post('X-A: b\0c', 'Content-Length: 0')}${smuggled}`,
      'a chunk of no size': `${post('Transfer-Encoding: chunked')}\r\n${smuggled}`,
      'a chunk size too large': `${post('Transfer-Encoding: chunked')}FFFFFFFFFFFFFFFFF\r\n${smuggled}`,
      'a chunk longer than it says': `${post('Transfer-Encoding: chunked')}1\r\n{}\r\n0\r\n\r\n${smuggled}`,
      'no version': `GET /http/probe\r\nHost: a\r\n\r\n`,
      'HTTP/2.0 in words': `GET /http/probe HTTP/2.0\r\nHost: a\r\n\r\n`,
      'an unknown method': `SMUGGLE /http/probe HTTP/1.1\r\nHost: a\r\n\r\n`,
    };
    const before = handlerCalls.count;
    for (const [name, bytes] of Object.entries(forms)) {
      const response = await sendRaw(booted, bytes);
      expect([name, parseResponse(response).status]).toEqual([name, 400]);
      expectRejection(response, 400, 'bad_request');
    }
    expect(handlerCalls.count).toBe(before);
  });

  it('rejects a transfer coding other than chunked, and any in HTTP/1.0', async () => {
    const smuggled = 'GET /http/probe HTTP/1.1\r\nHost: a\r\n\r\n';
    const before = handlerCalls.count;
    for (const codings of ['gzip, chunked', 'identity, chunked', 'GZIP,\tCHUNKED', ',chunked'])
      expectRejection(
        await sendRaw(booted, `${post(`Transfer-Encoding: ${codings}`)}0\r\n\r\n${smuggled}`),
        501,
        'not_implemented',
      );
    expectRejection(
      await sendRaw(
        booted,
        `${post('Transfer-Encoding: gzip', 'Transfer-Encoding: chunked')}0\r\n\r\n${smuggled}`,
      ),
      501,
      'not_implemented',
    );
    for (const coding of ['chunked', 'gzip, chunked', 'xchunked'])
      expectRejection(
        await sendRaw(
          booted,
          `${request(
            'POST /http/body HTTP/1.0',
            'Host: a',
            'Content-Type: application/json',
            'Connection: keep-alive',
            `Transfer-Encoding: ${coding}`,
          )}0\r\n\r\n${smuggled}`,
        ),
        400,
        'bad_request',
      );
    expect(handlerCalls.count).toBe(before);
  });

  it('processes no further request of a connection that closes', async () => {
    const next = get('/http/probe');
    const before = handlerCalls.count;
    for (const first of [
      get('/nothing'),
      request('GET /a"b HTTP/1.1', 'Host: a'),
      post('Content-Length: 9999999'),
    ])
      expect((await sendRaw(booted, first + next)).match(/HTTP\/1\.1 /g)).toHaveLength(1);
    expect(handlerCalls.count).toBe(before);
  });

  it('rejects a Host header that is not one host', async () => {
    for (const host of [
      'a, b',
      'a,b',
      'a b',
      'a/b',
      'a/',
      'a\\b',
      'a?b',
      'a#b',
      'x@evil.test',
      'x:y@evil.test',
      'http://a',
      'a:b',
      'a:',
      'a:1:2',
      'a:123456',
      ':80',
      'a%2eb',
      'a;b',
      '[::1',
      '[::1]x',
      '[fe80::1%25eth0]',
      '::1',
      '"a"',
      '\u00e4.test',
    ])
      for (const path of ['/http/probe', '/nothing']) {
        const response = await sendRaw(
          booted,
          request(`GET ${path} HTTP/1.1`, `Host: ${host}`, 'Connection: close'),
        );
        expect([host, parseResponse(response).status]).toEqual([host, 400]);
        expectRejection(response, 400, 'invalid_host');
      }
    for (const host of ['a', 'A.test.', 'a_b.test:80', '127.0.0.1', '[::1]', '[2001:db8::1]:8080']) {
      const response = await sendRaw(
        booted,
        request('GET /http/probe HTTP/1.1', `Host: ${host}`, 'Connection: close'),
      );
      expect([host, parseResponse(response).status]).toEqual([host, 200]);
    }
  });

  it('rejects CONNECT and the preface of HTTP/2, and ignores an upgrade', async () => {
    expectRejection(
      await sendRaw(booted, request('CONNECT evil.test:443 HTTP/1.1', 'Host: evil.test:443')),
      400,
      'bad_request',
    );
    // Node removes its own error listener from the socket of a CONNECT request.
    for (let i = 0; i < 20; i++) {
      const socket = open(booted);
      socket.write(request('CONNECT evil.test:443 HTTP/1.1', 'Host: evil.test:443'));
      await once(socket, 'connect');
      if (i % 2) await new Promise((resolve) => setImmediate(resolve));
      socket.resetAndDestroy();
    }
    expectRejection(await sendRaw(booted, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), 400, 'bad_request');
    for (const protocol of ['h2c', 'websocket', 'TLS/1.2']) {
      const response = await sendRaw(
        booted,
        request(
          'GET /http/probe HTTP/1.1',
          'Host: a',
          'Connection: close, Upgrade',
          `Upgrade: ${protocol}`,
          'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
          'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA',
        ),
      );
      expect([protocol, parseResponse(response).status]).toEqual([protocol, 200]);
    }
  });

  it('rejects a repeated Host header', async () => {
    for (const path of ['/http/probe', '/me', '/nothing'])
      expectRejection(await sendRaw(booted, get(path, 'Host: evil.test')), 400, 'duplicate_header');
  });

  it('rejects a request target that is not a path', async () => {
    for (const target of [
      'http://evil.test/http/probe',
      'http://atlas.test/me',
      'https://atlas.test',
      '*',
      'me',
      '?a',
      '/http/probe#me',
      '/a b',
      '/"',
      '/\u00e4',
      '/%zz',
      '/%ff',
      '/?a=%00',
      '/?a=%c0%af',
      '\\me',
    ])
      expect([target, parseResponse(await sendRaw(booted, get(target))).status]).toEqual([target, 400]);
    expectRejection(await sendRaw(booted, get('http://evil.test/http/probe')), 400, 'invalid_target');
    expectRejection(
      await sendRaw(booted, request('OPTIONS * HTTP/1.1', 'Host: a', 'Connection: close')),
      400,
      'invalid_target',
    );
  });

  it('rejects a request without a Host header on every route', async () => {
    for (const lines of [
      ['GET /http/probe HTTP/1.0'],
      ['GET /nothing HTTP/1.0'],
      ['GET /me HTTP/1.0'],
      ['GET /me HTTP/1.1', 'Connection: close'],
      ['GET /me HTTP/1.1', 'Connection: close', 'Host:'],
    ])
      expectRejection(await sendRaw(booted, request(...lines)), 400, 'host_required');
  });

  it('responds to the HTTP/1.0 health check of a load balancer without a Host header', async () => {
    for (const path of ['/health/ready', '/health/live'])
      expect(parseResponse(await sendRaw(booted, request(`GET ${path} HTTP/1.0`)))).toMatchObject({
        status: 200,
        body: '{"status":"ok"}',
      });
    for (const path of ['/health/ready?a', '/health', '/health/ready/'])
      expectRejection(await sendRaw(booted, request(`GET ${path} HTTP/1.0`)), 400, 'host_required');
    expectRejection(
      await sendRaw(booted, request('GET /health/ready HTTP/1.1', 'Connection: close')),
      400,
      'host_required',
    );
  });

  it('ignores a credential in a trailer', async () => {
    const signed = credential(as({ id: 'alice' }));
    const response = await sendRaw(
      booted,
      `${get('/me', 'Transfer-Encoding: chunked', 'Content-Type: application/json', 'Trailer: X-Test-Principal')}2\r\n{}\r\n0\r\n${signed}\r\n\r\n`,
    );
    expect(parseResponse(response).status).toBe(401);
  });

  it('keeps pipelined requests of one connection apart', async () => {
    const rounds = 1_000;
    const anonymous = request('GET /me HTTP/1.1', 'Host: a');
    const names = [...Array(rounds).keys()].flatMap((i) => [`a${i}`, `b${i}`]);
    const socket = open(booted);
    let response = '';
    const done = (async () => {
      for await (const chunk of socket.setEncoding('latin1')) response += String(chunk);
    })();
    for (const [i, name] of names.entries())
      socket.write(
        i % 10 === 9
          ? anonymous
          : request(
              'GET /me HTTP/1.1',
              'Host: a',
              credential(as({ id: name, tenantId: `tenant-of-${name}` })),
            ),
      );
    socket.write(get('/nothing'));
    await done;
    const ids = [
      ...response.matchAll(/"tenantId":"tenant-of-(\w+)".*?"id":"(\w+)"|"code":"unauthenticated"/g),
    ].map(([, id, tenant]) => (id === tenant ? id : 'mixed'));
    expect(ids).toEqual(names.map((name, i) => (i % 10 === 9 ? undefined : name)));
  });

  it('rejects CONNECT after the responses to the requests before it', async () => {
    const bytes =
      request('GET /me HTTP/1.1', 'Host: a').repeat(3) + request('CONNECT a:1 HTTP/1.1', 'Host: a');
    const statuses = (await sendRaw(booted, bytes)).matchAll(/HTTP\/1.1 (\d+)/g);
    expect([...statuses].map(([, status]) => status)).toEqual(['401', '401', '401', '400']);
  });

  describe('of pipelined requests whose responses are not read', () => {
    /** More than the buffers of the operating system hold. */
    const large = request('GET /http/large HTTP/1.1', 'Host: a').repeat(100);
    const unread = async (last: string) => {
      const socket = open(booted);
      socket.pause();
      socket.write(large + last);
      // Requests of other connections come after these, so the server has received them.
      for (let i = 0; i < 20; i++) await client(booted.origin).get('/http/probe');
      return socket;
    };
    const readAll = async (socket: Socket) => {
      let response = '';
      try {
        for await (const chunk of socket.setEncoding('latin1')) response += String(chunk);
      } catch {
        // A reset is an end as well.
      }
      return response;
    };

    it('starts each after the response to the previous one was sent', async () => {
      const before = handlerCalls.count;
      const socket = await unread(get('/http/probe'));
      expect(handlerCalls.count).toBe(before + 20);
      expect((await readAll(socket)).endsWith(`{"reached":${before + 21}}`)).toBe(true);
    });

    it('closes the connection if more than 2,048 wait', async () => {
      const before = handlerCalls.count;
      const socket = await unread(request('GET /http/probe HTTP/1.1', 'Host: a').repeat(2_048));
      expect(await readAll(socket)).not.toContain('reached');
      expect(handlerCalls.count).toBe(before + 20);
    });
  });

  it('rejects more than 200 header lines, of which Node would drop some', async () => {
    const fillers = (count: number) => Array.from({ length: count }, () => 'a:');
    // get() has two lines of its own.
    expect(parseResponse(await sendRaw(booted, get('/http/probe', ...fillers(198)))).status).toBe(200);
    const before = handlerCalls.count;
    for (const lines of [
      fillers(199),
      fillers(1_000),
      [...fillers(1_200), 'Host: evil.test'],
      [...fillers(1_200), 'Authorization: Bearer a'],
      ['Authorization: Basic YTpi', ...fillers(1_200), 'Authorization: Bearer a'],
      [...fillers(1_200), 'X-Forwarded-For: 203.0.113.9'],
      fillers(5_000),
    ])
      expectRejection(await sendRaw(booted, get('/http/probe', ...lines)), 431, 'header_fields_too_large');
    expect(handlerCalls.count).toBe(before);
  });

  it('rejects more than 1,000 parameters, of which Node would drop some', async () => {
    const parameters = (count: number) => Array.from({ length: count }, (_, i) => `p${i}`).join('&');
    const form = (text: string) =>
      request(
        'POST /http/form HTTP/1.1',
        'Host: a',
        'Connection: close',
        'Content-Type: application/x-www-form-urlencoded',
        `Content-Length: ${text.length}`,
      ) + text;
    const accepted = parseResponse(await sendRaw(booted, form(parameters(1_000))));
    expect(JSON.parse(accepted.body)).toEqual({ parameters: 1_000 });
    for (const count of [1_001, 2_000])
      expectRejection(await sendRaw(booted, form(parameters(count))), 400, 'too_many_parameters');
    expectRejection(await sendRaw(booted, form('&'.repeat(2_000))), 400, 'too_many_parameters');
    const query = `name&${'a&'.repeat(1_000)}name`;
    expectRejection(await sendRaw(booted, get(`/http/query?${query}`)), 400, 'too_many_parameters');
    // The last parameter is read, too.
    const last = await sendRaw(booted, get(`/http/query?${'name=a&'.repeat(998)}name=b&other=c`));
    expect(JSON.parse(parseResponse(last).body)).toMatchObject({
      code: 'invalid_query',
      errors: expect.arrayContaining([expect.objectContaining({ field: 'other' })]) as unknown,
    });
  });

  it('rejects headers over 16 KiB', async () => {
    // A client that is still sending gets the response, too.
    for (const length of [16_500, 200_000, 1_000_000]) {
      const response = await sendRaw(booted, get('/http/probe', `X-A: ${'a'.repeat(length)}`));
      expectRejection(response, 431, 'header_fields_too_large');
    }
    expectRejection(await sendRaw(booted, get(`/${'a'.repeat(17_000)}`)), 431, 'header_fields_too_large');
    expect(
      parseResponse(await sendRaw(booted, get('/http/probe', `X-A: ${'a'.repeat(15_000)}`))).status,
    ).toBe(200);
    // A path of almost 16 KiB is routed like any other.
    expect(parseResponse(await sendRaw(booted, get(`/openapi/${'a'.repeat(15_000)}`))).status).toBe(404);
  });
});
