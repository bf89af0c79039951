import { Controller, Delete, Get, Header, HttpCode, Post, Res } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Public } from '../../src/authentication/plan.js';
import { as, boot, client, type Booted } from '../support/app.js';
import { HttpRoutes, get, parseResponse, request, sendRaw } from '../support/wire.js';

@Controller('adapters')
@Public()
class AdapterRoutes {
  constructor(private readonly host: HttpAdapterHost) {}

  @Get('empty') @HttpCode(204) empty() {}
  @Get('nothing') nothing() {}
  @Get('text') @Header('Content-Type', 'text/plain; charset=utf-8') text() {
    return 'ä';
  }
  @Get('tagged') tagged(@Res({ passthrough: true }) response: unknown) {
    this.host.httpAdapter.setHeader(response, 'ETag', '"1"');
    this.host.httpAdapter.setHeader(response, 'Last-Modified', 'Tue, 01 Jan 2030 00:00:00 GMT');
    return {};
  }
  @Get(':id/:part') part() {
    return {};
  }
  @Post(':id/:part') change() {
    return {};
  }
  @Delete(':id') remove() {
    return {};
  }
}

const PATHS = [
  '/',
  '/http/probe',
  '/http/cached',
  '/http/query?name=a',
  '/http/broken',
  '/nothing',
  '/me',
  '/methods',
  '/openapi',
  '/openapi.json',
  '/openapi/swagger-ui.css',
  '/openapi/nothing',
  '/health/ready',
  '/mtls/ca.pem',
  '/.well-known/jwks.json',
  '/oidc/jwks',
  '/oidc/.well-known/openid-configuration',
  '/adapters/empty',
  '/adapters/nothing',
  '/adapters/text',
  '/adapters/tagged',
];

describe('the two adapters', () => {
  let fastify: Booted;
  let express: Booted;
  beforeAll(async () => {
    const controllers = [HttpRoutes, AdapterRoutes];
    fastify = await boot({ controllers, env: { HTTP_ADAPTER: 'fastify' } });
    express = await boot({ controllers, env: { HTTP_ADAPTER: 'express' } });
  });
  afterAll(async () => {
    await fastify.close();
    await express.close();
  });

  /** Status, headers and length of the body, without the values that differ per response. */
  const shapeOf = async (booted: Booted, bytes: string) => {
    const { status, headers, body } = parseResponse(await sendRaw(booted, bytes));
    for (const name of ['x-request-id', 'date', 'set-cookie', 'dpop-nonce']) delete headers[name];
    // The applications have different keys, and so certificates of different lengths.
    const length = headers['content-length'];
    if (length !== undefined) headers['content-length'] = Number(length) === body.length ? 'exact' : 'other';
    return { status, headers, hasBody: body.length > 0 };
  };
  const both = async (bytes: string) => {
    const [ofFastify, ofExpress] = await Promise.all([shapeOf(fastify, bytes), shapeOf(express, bytes)]);
    expect([bytes, ofFastify]).toEqual([bytes, ofExpress]);
    return ofFastify;
  };
  const head = (path: string, ...headers: string[]) =>
    request(`HEAD ${path} HTTP/1.1`, 'Host: atlas.test', 'Connection: close', ...headers);

  it.each(PATHS)('respond to GET and HEAD %s with the same headers', async (path) => {
    await both(get(path));
    const { status, headers, hasBody } = await both(head(path));
    expect(hasBody).toBe(false);
    // RFC 9110 section 8.6
    if (status === 204) expect(headers['content-length']).toBeUndefined();
  });

  it('do not evaluate conditions that the handler does not evaluate', async () => {
    for (const condition of [
      'If-None-Match: "1"',
      'If-None-Match: *',
      'If-Modified-Since: Wed, 01 Jan 2031 00:00:00 GMT',
    ])
      for (const bytes of [get('/adapters/tagged', condition), head('/adapters/tagged', condition)])
        expect((await both(bytes)).status).toBe(200);
  });

  it('respond 304 to a reader that has the current version of a document', async () => {
    const alice = Object.entries(as({ id: 'alice', roles: ['admin'] })).map((pair) => pair.join(': '))[0]!;
    const path = '/documents/alice-published-public';
    const { headers } = await both(get(path, alice));
    const etag = headers['etag']!;
    for (const tags of [etag, `W/${etag}`, `"x", ${etag}`, '*'])
      for (const bytes of [
        get(path, alice, `If-None-Match: ${tags}`),
        head(path, alice, `If-None-Match: ${tags}`),
      ]) {
        const response = await both(bytes);
        expect([tags, response]).toEqual([
          tags,
          { status: 304, hasBody: false, headers: expect.objectContaining({ etag }) as unknown },
        ]);
        for (const name of ['content-type', 'content-length'])
          expect(Object.keys(response.headers)).not.toContain(name);
      }
    for (const tags of ['"x"', '', etag.slice(1), `W/"x", ${etag}x`])
      expect((await both(get(path, alice, `If-None-Match: ${tags}`))).status).toBe(200);
    // A condition reveals nothing to a caller who may not read.
    expect((await both(get(path, 'If-None-Match: *'))).status).toBe(401);
  });

  it('respond 405 with Allow to another method of a known path, and 404 to an unknown path', async () => {
    for (const [method, path, allow] of [
      ['PUT', '/http/probe', 'GET, HEAD'],
      ['POST', '/http/probe?a=b', 'GET, HEAD'],
      ['OPTIONS', '/http/probe', 'GET, HEAD'],
      ['TRACE', '/http/probe', 'GET, HEAD'],
      ['PROPFIND', '/http/probe', 'GET, HEAD'],
      ['QUERY', '/http/probe', 'GET, HEAD'],
      ['M-SEARCH', '/http/probe', 'GET, HEAD'],
      ['M-SEARCH', '/oidc/token', 'OPTIONS, POST'],
      ['QUERY', '/oidc/token', 'OPTIONS, POST'],
      ['OPTIONS', '/oidc/token', 'OPTIONS, POST'],
      ['GET', '/http/body', 'POST'],
      ['HEAD', '/http/body', 'POST'],
      ['POST', '/', 'GET, HEAD'],
      ['DELETE', '/health/live', 'GET, HEAD'],
      ['POST', '/openapi.json', 'GET, HEAD'],
      ['PUT', '/documents', 'GET, HEAD, POST'],
      ['POST', '/documents/any', 'DELETE, GET, HEAD, PATCH'],
      ['GET', '/adapters/any', 'DELETE'],
      ['PATCH', '/adapters/a/b', 'GET, HEAD, POST'],
    ] as const) {
      const bytes = request(
        `${method} ${path} HTTP/1.1`,
        'Host: a',
        'Connection: close',
        'Content-Length: 0',
      );
      const { status, headers } = await both(bytes);
      expect([method, path, status, headers['allow']]).toEqual([method, path, 405, allow]);
    }
    const { body } = await client(fastify.origin).send('PUT', '/me');
    expect(body).toMatchObject({ code: 'method_not_allowed' });
    for (const path of [
      '/nothing',
      '/http',
      '/http/probe/',
      '/HTTP/probe',
      '/documents/a/b/c',
      '/openapiXjson',
    ]) {
      const bytes = request(`POST ${path} HTTP/1.1`, 'Host: a', 'Connection: close', 'Content-Length: 0');
      const { status, headers } = await both(bytes);
      expect([path, status, headers['allow']]).toEqual([path, 404, undefined]);
    }
  });
});
