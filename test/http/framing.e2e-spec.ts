import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { as, boot, type Booted } from '../support/app.js';
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

  it('rejects headers over 16 KiB', async () => {
    expectRejection(
      await sendRaw(booted, get('/http/probe', `X-A: ${'a'.repeat(16_500)}`)),
      431,
      'header_fields_too_large',
    );
    expectRejection(await sendRaw(booted, get(`/${'a'.repeat(17_000)}`)), 431, 'header_fields_too_large');
    expect(
      parseResponse(await sendRaw(booted, get('/http/probe', `X-A: ${'a'.repeat(15_000)}`))).status,
    ).toBe(200);
    // A path of almost 16 KiB is routed like any other.
    expect(parseResponse(await sendRaw(booted, get(`/openapi/${'a'.repeat(15_000)}`))).status).toBe(404);
  });
});
