import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  Body,
  Controller,
  ForbiddenException,
  Get,
  HttpException,
  Post,
  Query,
  ServiceUnavailableException,
} from '@nestjs/common';
import { z } from 'zod';
import { Public, SelfService } from '../../src/authentication/plan.js';
import { as, boot, client, type TestResponse, type Booted } from '../support/app.js';

const Thing = z.strictObject({ name: z.string(), tags: z.array(z.string()).optional() });
const Page = z.strictObject({ limit: z.coerce.number().int().max(100).optional() });

@Controller('problems')
class Closed {
  @Get('closed') @SelfService() closed() {
    return {};
  }
}

@Controller('problems')
@Public()
class Routes {
  @Post('things') make(@Body({ schema: Thing }) thing: object) {
    return thing;
  }
  @Get('things') list(@Query({ schema: Page }) page: object) {
    return page;
  }
  @Get('forbidden') forbidden() {
    throw new ForbiddenException({ code: 'forbidden', detail: 'Only its owner may.' });
  }
  @Get('broken') broken() {
    throw Object.assign(new Error('SELECT secret FROM users'), { parameters: ['hunter2'], statusCode: 200 });
  }
  @Get('busy') busy() {
    throw Object.assign(
      new ServiceUnavailableException({ code: 'temporarily_unavailable', detail: 'Come again.' }),
      {
        headers: { 'Retry-After': '2', 'Set-Cookie': ['a=1', 'b=2'] },
      },
    );
  }
  @Get('foreign') foreign() {
    throw new HttpException('words of /home/somebody', 404);
  }
}

const expectProblem = (response: TestResponse, status: number, code: string) => {
  expect(response).toMatchObject({ status, body: { type: 'about:blank', status, code } });
  expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/);
  expect(response.headers.get('cache-control')).toBe('no-store');
  expect(response.body.requestId).toBe(response.headers.get('x-request-id'));
  expect(response.body.requestId).toMatch(/^[0-9a-f-]{36}$/);
  expect(response.body.title).toEqual(expect.any(String));
  expect(response.body.detail).toEqual(expect.any(String));
  const known = ['type', 'title', 'status', 'code', 'detail', 'requestId', 'errors'];
  expect(known).toEqual(expect.arrayContaining(Object.keys(response.body)));
};

describe('every error is a problem (RFC 9457)', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await boot({ controllers: [Routes, Closed] })));
  afterAll(() => booted.close());

  it('400 names the invalid fields of a query', async () => {
    const response = await client(booted.origin).get('/problems/things?limit=many&colour=red');
    expectProblem(response, 400, 'invalid_query');
    expect(response.body.errors.map((error: { field: string }) => error.field)).toEqual(['limit', 'colour']);
  });

  it('422 names each missing, invalid and unknown field of a body', async () => {
    const response = await client(booted.origin).post('/problems/things', {
      tags: ['a', 1],
      isAdmin: true,
      id: 1,
    });
    expectProblem(response, 422, 'invalid_body');
    expect(response.body.errors.map((error: { field: string }) => error.field)).toEqual([
      'name',
      'tags.1',
      'isAdmin',
      'id',
    ]);
  });

  it('422 reports a missing body', async () => {
    const response = await client(booted.origin).post('/problems/things');
    expectProblem(response, 422, 'invalid_body');
    expect(response.body.errors).toEqual([{ field: 'body', message: expect.any(String) }]);
  });

  it('422 for text that a database cannot store unchanged', async () => {
    for (const name of ['a\0b', '\ud800']) {
      const response = await client(booted.origin).post('/problems/things', { name });
      expectProblem(response, 422, 'invalid_body');
      expect(response.body.errors).toMatchObject([{ field: 'name' }]);
    }
    expect((await client(booted.origin).post('/problems/things', { name: '\u{1f600}' })).status).toBe(201);
  });

  it('names at most fifty fields', async () => {
    const many = Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`field${i}`, 1]));
    const response = await client(booted.origin).post('/problems/things', many);
    expectProblem(response, 422, 'invalid_body');
    expect(response.body.errors).toHaveLength(50);
  });

  it('401 has the challenges, 403 has the reason', async () => {
    const anonymous = await client(booted.origin).get('/problems/closed');
    expectProblem(anonymous, 401, 'unauthenticated');
    expect(anonymous.headers.get('www-authenticate')).toContain('Test');
    const forbidden = await client(booted.origin).get('/problems/forbidden');
    expectProblem(forbidden, 403, 'forbidden');
    expect(forbidden.body.detail).toBe('Only its owner may.');
  });

  it('404 and 405 repeat neither the path nor the text of a framework error', async () => {
    for (const path of ['/no-such-route/secret', '/problems/foreign']) {
      const response = await client(booted.origin).get(path);
      expectProblem(response, 404, 'not_found');
      expect(JSON.stringify(response.body)).not.toMatch(/secret|home|no-such/);
    }
    expectProblem(await client(booted.origin).send('DELETE', '/problems/things'), 405, 'method_not_allowed');
  });

  it('413 and 415 are problems', async () => {
    const big = await client(booted.origin).post('/problems/things', { name: 'x'.repeat(300 * 1024) });
    expectProblem(big, 413, 'payload_too_large');
    const text = await client(booted.origin).post('/problems/things', 'name=x', {
      'Content-Type': 'text/plain',
    });
    expectProblem(text, 415, 'unsupported_media_type');
  });

  it('500 does not reveal its cause', async () => {
    const response = await client(booted.origin).get('/problems/broken');
    expectProblem(response, 500, 'internal_error');
    expect(JSON.stringify(response.body)).not.toMatch(/SELECT|users|hunter2|\.ts|Error:/);
  });

  it('sends the headers of an exception', async () => {
    const response = await client(booted.origin).get('/problems/busy');
    expectProblem(response, 503, 'temporarily_unavailable');
    expect(response.headers.get('retry-after')).toBe('2');
    expect(response.headers.getSetCookie()).toEqual(['a=1', 'b=2']);
  });

  it('responds to HEAD with the same status and no body', async () => {
    for (const path of ['/problems/broken', '/problems/forbidden', '/nothing', '/problems/%']) {
      const response = await client(booted.origin).send('HEAD', path);
      expect(response.status).toBeGreaterThanOrEqual(400);
      expect(response.body).toBe('');
      expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/);
    }
  });

  it('gives every response its own id and ignores an id of the client', async () => {
    const ids = new Set<string | null>();
    for (let i = 0; i < 5; i++) {
      const response = await client(booted.origin, { 'X-Request-Id': 'mine', ...as({ id: 'bob' }) }).get(
        '/problems/closed',
      );
      ids.add(response.headers.get('x-request-id'));
    }
    expect(ids.size).toBe(5);
    expect(ids).not.toContain('mine');
  });
});
