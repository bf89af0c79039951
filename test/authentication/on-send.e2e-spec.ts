import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Controller, ForbiddenException, Get, HttpCode, StreamableFile } from '@nestjs/common';
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { beforeSend } from '../../src/authentication/on-send.js';
import { CurrentRequest, Public } from '../../src/authentication/plan.js';
import type { AuthRequest } from '../../src/authentication/request.js';
import { boot, client, type Booted } from '../support/app.js';

const sha256 = (bytes: string | Buffer) => createHash('sha256').update(bytes).digest('hex');

/** Adds a header that depends on the status, a header and the body, as a signature does. */
const seal = (request: AuthRequest, name = 'X-Seal') =>
  beforeSend(request.response, ({ status, header, body }) => ({
    [name]: `${status} ${header('content-type') ?? 'none'} ${sha256(body)}`,
  }));

@Controller('sealed')
@Public()
class SealedController {
  @Get('json') json(@CurrentRequest() request: AuthRequest) {
    seal(request);
    return { text: 'snow ☃' };
  }
  @Get('text') text(@CurrentRequest() request: AuthRequest) {
    seal(request);
    return 'plain ☃';
  }
  @Get('nothing') @HttpCode(204) nothing(@CurrentRequest() request: AuthRequest) {
    seal(request);
  }
  @Get('forbidden') forbidden(@CurrentRequest() request: AuthRequest) {
    seal(request);
    throw new ForbiddenException({ code: 'forbidden', detail: 'Not permitted.' });
  }
  @Get('stream') stream(@CurrentRequest() request: AuthRequest) {
    seal(request);
    return new StreamableFile(Readable.from([Buffer.from('one '), Buffer.from('two')]));
  }
  @Get('twice') twice(@CurrentRequest() request: AuthRequest) {
    seal(request);
    seal(request, 'X-Outer');
    return { text: 'twice' };
  }
}

describe('beforeSend', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await boot({ controllers: [SealedController] })));
  afterAll(() => booted.close());

  it.each([
    ['json', 200, 'application/json; charset=utf-8'],
    ['text', 200, 'text/'],
    ['forbidden', 403, 'application/problem+json; charset=utf-8'],
    ['stream', 200, 'application/octet-stream'],
  ])('%s: adds a header from the status, the headers and the whole body', async (path, status, type) => {
    const response = await fetch(`${booted.origin}/sealed/${path}`);
    const body = Buffer.from(await response.arrayBuffer());
    expect(body.length).toBeGreaterThan(4);
    const [sealed, ...rest] = response.headers.get('x-seal')!.split(' ');
    expect([Number(sealed), response.status]).toEqual([status, status]);
    expect(rest.join(' ')).toBe(`${response.headers.get('content-type')} ${sha256(body)}`);
    expect(response.headers.get('content-type')).toContain(type);
  });

  it('adds a header to a response without a body', async () => {
    const { status, headers } = await client(booted.origin).get('/sealed/nothing');
    expect([status, headers.get('x-seal')]).toEqual([204, `204 none ${sha256('')}`]);
  });

  it('runs two callbacks for the same response', async () => {
    const { status, headers, body } = await client(booted.origin).get('/sealed/twice');
    expect([status, body]).toEqual([200, { text: 'twice' }]);
    expect(headers.get('x-outer')).toBe(headers.get('x-seal'));
  });

  it('keeps the connection open for the next request', async () => {
    const lines = (connection: string) => [
      'GET /sealed/json HTTP/1.1',
      'Host: a',
      `Connection: ${connection}`,
      '',
    ];
    const response = await client(booted.origin).raw(...lines('keep-alive'), ...lines('close'));
    expect(response.match(/^X-Seal: 200 application\/json/gim)).toHaveLength(2);
  });
});
